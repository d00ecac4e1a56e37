"""Tracked connections of a namespace: list them, end some.

Speaks ctnetlink itself, for with the `conntrack` tool every connection to be ended would be a process.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stackyard.host.errors import HostError

_NETLINK_NETFILTER = 12
_CT_NEW, _CT_GET, _CT_DELETE = 0x100, 0x101, 0x102
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_ENOENT = 2
_TUPLE_ORIGINAL, _TUPLE_REPLY, _MASTER, _ZONE = 1, 2, 14, 18
_TYPE_MASK = 0x3FFF


@dataclass(frozen=True)
class Connection:
    """One tracked connection, by its first packet. Ports are 0, and ICMP type and code -1, where there are none.

    `related`: another connection announced it, as FTP's control connection does its data.
    """

    version: int
    zone: int
    protocol: int
    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = -1
    icmp_code: int = -1
    reply_source: str = ""
    reply_destination: str = ""
    reply_source_port: int = 0
    related: bool = False
    key: bytes = b""


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and values of netlink attributes in a row."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind & _TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def _tuple_addresses(data: bytes) -> tuple[str, str]:
    source = destination = ""
    for kind, value in attributes(dict(attributes(data)).get(1, b"")):
        family = socket.AF_INET if kind in (1, 2) else socket.AF_INET6
        text = socket.inet_ntop(family, value)
        if kind in (1, 3):
            source = text
        else:
            destination = text
    return source, destination


def _number(fields: dict[int, bytes], *kinds: int, default: int) -> int:
    for kind in kinds:
        if kind in fields:
            return int.from_bytes(fields[kind], "big")
    return default


def parse(message: bytes) -> Connection:
    """Read one message of a dump, from its nfgenmsg on."""
    fields = dict(attributes(message[4:]))
    original = fields[_TUPLE_ORIGINAL]
    source, destination = _tuple_addresses(original)
    reply = fields.get(_TUPLE_REPLY, b"")
    reply_source, reply_destination = _tuple_addresses(reply)
    reply_layer4 = dict(attributes(dict(attributes(reply)).get(2, b"")))
    layer4 = dict(attributes(dict(attributes(original)).get(2, b"")))
    return Connection(
        version=4 if message[0] == socket.AF_INET else 6,
        zone=_number(fields, _ZONE, default=0),
        protocol=_number(layer4, 1, default=0),
        source=source,
        destination=destination,
        source_port=_number(layer4, 2, default=0),
        destination_port=_number(layer4, 3, default=0),
        icmp_type=_number(layer4, 5, 8, default=-1),
        icmp_code=_number(layer4, 6, 9, default=-1),
        reply_source=reply_source,
        reply_destination=reply_destination,
        reply_source_port=_number(reply_layer4, 2, default=0),
        related=_MASTER in fields,
        key=original,
    )


class _Channel:
    """A netlink socket in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, 0))
        self._socket.settimeout(5)
        self._sequence = 0

    def request(self, kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
        """Send, then yield the payload of each answer until the last."""
        self._sequence += 1
        header = struct.pack("=IHHII", 16 + len(payload), kind, flags | _REQUEST, self._sequence, 0)
        self._socket.send(header + payload)
        while True:
            data = self._socket.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, answer, _flags, _sequence, _port = struct.unpack_from("=IHHII", data, offset)
                body = data[offset + 16 : offset + length]
                offset += (length + 3) & ~3
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    number = -int(struct.unpack_from("=i", body)[0])
                    if number:
                        raise OSError(number, os.strerror(number))
                    return
                yield body

    def close(self) -> None:
        self._socket.close()


def end_connections(chosen: Callable[[Connection], bool], zone: int | None = None) -> int:
    """End the tracked connections, of the namespace the thread is in, for which `chosen` is true; says how many.

    With `zone` only those of the zone are asked for; kernels before 6.9 give all, and the others are passed over here.
    """
    try:
        channel = _Channel()
    except OSError as error:
        raise HostError(f"connection tracking does not answer: {error}") from error
    try:
        wanted = b"" if zone is None else _attribute(_ZONE, struct.pack("!H", zone))
        dump = list(channel.request(_CT_GET, _DUMP, struct.pack("=BBH", 0, 0, 0) + wanted))
        ended = 0
        for message in dump:
            connection = parse(message)
            if zone in (None, connection.zone) and chosen(connection):
                ended += _delete(channel, message[0], connection)
        return ended
    except OSError as error:
        raise HostError(f"connection tracking: {error}") from error
    finally:
        channel.close()


def _delete(channel: _Channel, family: int, connection: Connection) -> int:
    payload = struct.pack("=BBH", family, 0, 0) + _attribute(_TUPLE_ORIGINAL | 0x8000, connection.key)
    if connection.zone:
        payload += _attribute(_ZONE, struct.pack("!H", connection.zone))
    try:
        for _ in channel.request(_CT_DELETE, _ACK, payload):
            pass
    except OSError as error:
        if error.errno != _ENOENT:  # it ended by itself meanwhile
            raise
        return 0
    return 1
