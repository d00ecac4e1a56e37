"""A DHCP client of few words, for asking a server exactly one thing."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

from tests.dataplane.lab import Endpoint

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
_COOKIE = b"\x63\x82\x53\x63"
Options = dict[int, bytes]


def _options(data: bytes) -> Options:
    found, offset = {}, 0
    while offset < len(data) and data[offset] != 255:
        if data[offset] == 0:
            offset += 1
            continue
        length = data[offset + 1]
        found[data[offset]] = found.get(data[offset], b"") + data[offset + 2 : offset + 2 + length]
        offset += 2 + length
    return found


def ask4(
    end: Endpoint, kind: int, wanted: Iterable[int] = (), *, own: str = "0.0.0.0", requested: str = ""
) -> tuple[str, Options] | None:
    """The address and the options that the server answers with; None when it does not answer.

    `own` is the address that a client renews, `requested` the one that it would like.
    """
    mac = bytes.fromhex(end.port.mac.replace(":", ""))
    transaction = os.urandom(4)
    message = struct.pack("!BBBB4sHH", 1, 1, 6, 0, transaction, 0, 0x8000) + socket.inet_aton(own) + bytes(12)
    message += mac + bytes(10 + 64 + 128) + _COOKIE + bytes([53, 1, kind, 55, len(tuple(wanted)) + 1, 1, *wanted])
    if requested:
        message += bytes([50, 4]) + socket.inet_aton(requested)
    with end.new_socket(socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        channel.bind(("", 68))
        channel.settimeout(2)
        channel.sendto(message + b"\xff", ("255.255.255.255", 67))
        try:
            while (answer := channel.recv(4000))[4:8] != transaction:
                pass
        except TimeoutError:
            return None
    return socket.inet_ntoa(answer[16:20]), _options(answer[240:])


def ask6(end: Endpoint, kind: int, wanted: Iterable[int] = (), *, address: bool = True) -> dict[int, bytes] | None:
    """The options of a DHCPv6 server's answer: to a solicitation (1) or a request for information (11)."""
    client = struct.pack("!HHHH", 1, 10, 3, 1) + bytes.fromhex(end.port.mac.replace(":", ""))
    numbers = tuple(wanted)
    asked = struct.pack(f"!HH{len(numbers)}H", 6, 2 * len(numbers), *numbers)
    association = struct.pack("!HHIII", 3, 12, 1, 0, 0) if address else b""
    with end.new_socket(socket.SOCK_DGRAM, socket.AF_INET6) as channel:
        index = end.within(lambda: socket.if_nametoindex("eth0"))
        channel.bind(("", 546))
        channel.settimeout(2)
        channel.sendto(bytes([kind]) + b"abc" + client + asked + association, ("ff02::1:2", 547, 0, index))
        try:
            data, found, offset = channel.recv(2000), {}, 4
        except TimeoutError:
            return None
    while offset + 4 <= len(data):
        number, length = struct.unpack_from("!HH", data, offset)
        found[number] = data[offset + 4 : offset + 4 + length]
        offset += 4 + length
    return found
