"""Kuryr's names, rules and names of containers, without a cloud."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from stackyard.core.errors import Conflict, InvalidField
from stackyard.plugins import listening
from stackyard.plugins.kuryr import names
from stackyard.plugins.kuryr.container_names import name_in
from stackyard.plugins.kuryr.exposed import rules
from stackyard.plugins.kuryr.forwarding import Forwarder, Published
from stackyard.plugins.kuryr.session import read_flag, read_options


def test_an_id_is_one_tag_or_two() -> None:
    assert names.id_tags("a" * 25) == [f"kuryr.net.uuid.lh:{'a' * 25}"]
    assert names.id_tags("a" * 32 + "b" * 32) == [f"kuryr.net.uuid.lh:{'a' * 32}", f"kuryr.net.uuid.uh:{'b' * 32}"]
    assert names.members(names.id_tags("a" * 64) + names.id_tags("b" * 64) + ["other"]) == 2


def test_a_devices_name_fits_the_kernel() -> None:
    assert names.device_name("11111111-2222-3333-4444-555555555555") == "t_c111111112222"


def test_neighbouring_ports_are_one_rule() -> None:
    found = rules([(6, 80), (6, 82), (6, 81), (17, 81), (6, 80)])
    shown = {(rule["protocol"], rule["port_range_min"], rule["port_range_max"], rule["ethertype"]) for rule in found}
    assert shown == {(p, a, b, e) for p, a, b in (("tcp", 80, 82), ("udp", 81, 81)) for e in ("IPv4", "IPv6")}
    with pytest.raises(InvalidField, match="99"):
        rules([(99, 80)])


def test_options_are_ours_or_anothers() -> None:
    assert read_options({"foo": 5, "neutron.net.name": "x", "neutron.net.uuid": ""}) == {"neutron.net.name": "x"}
    for wrong in ({"neutron.net.nam": "x"}, {"neutron.net.name": 5}, {"neutron.net.name": "x" * 256}):
        with pytest.raises(InvalidField):
            read_options(wrong)


def test_a_flag_is_yes_or_no() -> None:
    assert [read_flag("x", text) for text in ("true", "Yes", "0", "", "off")] == [True, True, False, False, False]
    with pytest.raises(InvalidField):
        read_flag("x", "maybe")


def test_a_containers_name_among_those_of_a_network() -> None:
    network = {"Containers": {"c": {"EndpointID": "e", "Name": "web"}}}
    assert (name_in(network, "e"), name_in(network, "f"), name_in({}, "e"), name_in(None, "e")) == ("web", "", "", "")


def test_a_socket_is_taken_over_only_from_the_dead(tmp_path: Path) -> None:
    path = tmp_path / "plugins" / "kuryr.sock"
    first = listening.listen(path)
    assert first is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert listening.listen(path) is None
    first.close()
    second = listening.listen(path)
    assert second is not None
    first.close()
    listening.leave(path, second)
    assert not path.exists()
    path.write_text("a file")
    assert listening.listen(path) is None
    assert path.read_text() == "a file"
    assert listening.listen(tmp_path / ("x" * 120)) is None


def _published(protocol: str, host_port: int, last: int = 0) -> Published:
    return Published(
        protocol=protocol, host_ip="127.0.0.1", host_port=host_port, host_port_end=last, network_id="n",
        address="127.0.0.1", port=1,
    )  # fmt: skip


def test_published_bytes_are_carried_both_ways_to_the_end() -> None:
    forwarder = Forwarder(lambda _: "/proc/self/ns/net")
    with socket.create_server(("127.0.0.1", 0)) as inner:
        number = inner.getsockname()[1]
        one = Published("tcp", "127.0.0.1", 0, 0, "n", "127.0.0.1", number)
        (found,) = forwarder.open("e", [one])
        try:
            with socket.create_connection(("127.0.0.1", found.host_port), 10) as client:
                far, _ = inner.accept()
                with far:
                    far.settimeout(10)
                    client.sendall(b"question")
                    client.shutdown(socket.SHUT_WR)
                    assert far.makefile("rb").read() == b"question"
                    far.sendall(b"answer" * 100_000)
                    far.shutdown(socket.SHUT_WR)
                    assert client.makefile("rb").read() == b"answer" * 100_000
        finally:
            forwarder.stop()


def test_a_range_gives_its_first_free_port_and_all_or_nothing_is_opened() -> None:
    forwarder = Forwarder(lambda _: None)
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            with pytest.raises(Conflict, match=str(number)):
                forwarder.open("e", [_published("tcp", 0), _published("tcp", number)])
            (found,) = forwarder.open("e", [_published("tcp", number, number + 20)])
            assert number < found.host_port <= number + 20
        forwarder.close("e")
        forwarder.close("e")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", found.host_port))
    finally:
        forwarder.stop()


def test_a_port_that_leads_nowhere_hangs_up() -> None:
    forwarder = Forwarder(lambda _: None)
    try:
        (found,) = forwarder.open("e", [_published("tcp", 0)])
        with socket.create_connection(("127.0.0.1", found.host_port), 10) as client:
            client.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    finally:
        forwarder.stop()


def test_published_datagrams_are_answered_to_who_asked() -> None:
    forwarder = Forwarder(lambda _: "/proc/self/ns/net")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inner:
        inner.bind(("127.0.0.1", 0))
        inner.settimeout(10)
        one = Published("udp", "127.0.0.1", 0, 0, "n", "127.0.0.1", inner.getsockname()[1])
        (found,) = forwarder.open("e", [one])
        try:
            clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.sendto(b"%d" % number, ("127.0.0.1", found.host_port))
            for _ in clients:
                data, peer = inner.recvfrom(100)
                inner.sendto(b"to " + data, peer)
            assert [client.recv(100) for client in clients] == [b"to 0", b"to 1", b"to 2"]
            for client in clients:
                client.close()
        finally:
            forwarder.stop()
