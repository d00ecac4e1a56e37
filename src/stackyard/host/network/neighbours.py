"""The neighbour table of the namespace that the calling thread is in, and for whom neighbour discovery is answered.

Speaks rtnetlink itself: pyroute2 cannot ask for the proxied entries.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from stackyard.host.errors import HostError
from stackyard.host.network.conntrack import attributes

_GET_NEIGHBOUR, _DONE, _ERROR = 30, 3, 2
_REQUEST_DUMP = 0x301
_PROXY = 8
_ADDRESS, _HARDWARE = 1, 2


@dataclass(frozen=True)
class Neighbour:
    """An address, on the device with that index, and its MAC ("" for a proxied one)."""

    index: int
    address: str
    mac: str


def neighbours(family: int = socket.AF_INET6, *, proxied: bool = False) -> list[Neighbour]:
    """Everybody that the kernel knows, or all addresses that it answers for. Raises HostError."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as channel:
            channel.settimeout(5)
            body = struct.pack("=BxxxiHBB", family, 0, 0, _PROXY if proxied else 0, 0)
            channel.send(struct.pack("=IHHII", 16 + len(body), _GET_NEIGHBOUR, _REQUEST_DUMP, 1, 0) + body)
            return list(_read(channel, family))
    except OSError as error:
        raise HostError(f"the neighbour table does not answer: {error}") from error


def _read(channel: socket.socket, family: int) -> Iterator[Neighbour]:
    while True:
        data, offset = channel.recv(1 << 17), 0
        while offset < len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            body = data[offset + 16 : offset + length]
            offset += (length + 3) & ~3
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -int(struct.unpack_from("=i", body)[0])
                raise OSError(number, os.strerror(number))
            fields = dict(attributes(body[12:]))
            if _ADDRESS in fields:
                index = struct.unpack_from("=i", body, 4)[0]
                yield Neighbour(index, socket.inet_ntop(family, fields[_ADDRESS]), fields.get(_HARDWARE, b"").hex(":"))
