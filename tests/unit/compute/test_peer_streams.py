"""What goes over a connection between hosts: messages, files with their holes, and bytes both ways."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackyard.host.errors import HostError, SpecError
from stackyard.services.compute.peers import certificate, relay
from stackyard.services.compute.peers.stream import Stream

MIB = 1 << 20


@pytest.fixture
def ends() -> Iterator[tuple[Stream, Stream]]:
    one, two = socket.socketpair()
    for end in (one, two):
        end.settimeout(10)
    yield Stream(one), Stream(two)
    one.close()
    two.close()


def carried(ends: tuple[Stream, Stream], source: Path, target: Path, begin: int = 0) -> None:
    def send() -> None:
        with source.open("rb") as data:
            ends[0].send_file(data, begin)

    thread = threading.Thread(target=send)
    thread.start()
    ends[1].receive_file(target)
    thread.join(10)


def test_a_file_goes_over_with_its_holes(ends: tuple[Stream, Stream], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.write(b"begin" * 1000)
        file.seek(64 * MIB)
        file.write(os.urandom(3 * MIB))
        file.truncate(200 * MIB)
    carried(ends, source, target)
    assert target.stat().st_size == 200 * MIB
    assert target.stat().st_blocks <= source.stat().st_blocks + 64
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1])
def test_files_of_every_size(ends: tuple[Stream, Stream], tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    carried(ends, source, target)
    assert target.read_bytes() == source.read_bytes()


def test_one_that_was_cut_off_goes_on(ends: tuple[Stream, Stream], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3 * MIB))
    target.write_bytes(source.read_bytes()[: MIB + 5])
    carried(ends, source, target, begin=target.stat().st_size)
    assert target.read_bytes() == source.read_bytes()


def test_an_end_in_the_middle_is_told(ends: tuple[Stream, Stream], tmp_path: Path) -> None:
    ends[0].write(struct.pack(">QI", 0, 100) + b"x" * 50)
    ends[0].socket.close()
    with pytest.raises(HostError, match="went away"):
        ends[1].receive_file(tmp_path / "target")


def test_pieces_and_messages_that_are_too_long_are_refused(ends: tuple[Stream, Stream], tmp_path: Path) -> None:
    ends[0].write(struct.pack(">QI", 0, 2 * MIB))
    with pytest.raises(HostError, match="too long"):
        ends[1].receive_file(tmp_path / "target")
    ends[0].write(struct.pack(">I", 1 << 31))
    with pytest.raises(HostError, match="more than a message has"):
        ends[1].receive()


@pytest.mark.parametrize("data", [b"{", b"\xff\xff", b""])
def test_what_is_no_message_is_refused(ends: tuple[Stream, Stream], data: bytes) -> None:
    ends[0].write(struct.pack(">I", len(data)) + data)
    with pytest.raises(HostError, match="no message"):
        ends[1].receive()


def test_answers_and_refusals(ends: tuple[Stream, Stream]) -> None:
    ends[0].answer({"a": 1})
    assert ends[1].answered() == {"a": 1}
    for error in (HostError("later"), SpecError("never")):
        ends[0].refuse(error)
        with pytest.raises(type(error), match=str(error)):
            ends[1].answered()
    ends[0].send(["neither"])
    with pytest.raises(HostError, match="no answer"):
        ends[1].answered()


def test_bytes_go_both_ways_through_a_relay_over_tls(tmp_path: Path) -> None:
    server, digest = certificate.of_host(tmp_path)
    assert certificate.of_host(tmp_path)[1] == digest, "it stays the same"
    assert (tmp_path / "peer.pem").stat().st_mode & 0o077 == 0
    near, far = socket.socketpair()
    here, mine = socket.socketpair()
    there, theirs = socket.socketpair()

    def answer() -> None:
        relay.relay(server.wrap_socket(far, server_side=True), there)

    threading.Thread(target=answer, daemon=True).start()
    called = certificate.for_calls().wrap_socket(near)
    assert certificate.is_of(called, digest)
    assert not certificate.is_of(called, "0" * 64)
    relay.in_background(called, here, "test")
    data = os.urandom(5 * MIB)
    received: list[bytes] = []

    def echo() -> None:
        with theirs.makefile("rb") as source:
            received.append(source.read(len(data)))
        theirs.sendall(b"thanks")
        theirs.close()

    thread = threading.Thread(target=echo)
    thread.start()
    mine.settimeout(20)
    mine.sendall(data)
    with mine.makefile("rb") as source:
        assert source.read() == b"thanks", "what was sent before the end arrives"
    thread.join(10)
    assert received == [data]
    mine.close()
