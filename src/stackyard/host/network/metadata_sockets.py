"""The sockets at which metadata is asked for, made in the namespaces of networks' servers and of routers.

A socket belongs to the namespace in which it was made. So the network of a request is known by the socket that it came
to, and its sender by the address, which the port's anti-spoofing vouches for: two tenants with the same addresses are
told apart, and none can ask in another's name. Who the sender is, and what it may know, the handler says.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from stackyard.host.errors import HostError
from stackyard.host.network import netns
from stackyard.host.network.filter import link_local
from stackyard.host.network.metadata import (
    METADATA4,
    METADATA6,
    PORT,
    Door,
    MetadataHandler,
    MetadataReply,
    MetadataRequest,
)
from stackyard.host.network.metadata_server import MetadataServer
from stackyard.host.network.neighbours import neighbours

_BACKLOG = 64
_IPV6 = socket.IPPROTO_IPV6
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


@dataclass
class _Sockets:
    """The listening sockets of one door, and the namespace (its inode) that they are in."""

    inode: int
    path: Path
    sockets: list[socket.socket]


class MetadataSockets:
    """Keeps the sockets. `open`, `close` and `problem` run in the fabric's thread."""

    def __init__(self) -> None:
        self._open: dict[Door, _Sockets] = {}
        self._server = MetadataServer(self._answer)
        self.handler: MetadataHandler | None = None

    def open(self, door: Door, namespace: str, device: str | None) -> None:
        """Listen in the namespace: on the IPv4 address, and with `device` on its IPv6 address. Raises HostError."""
        path = Path(netns.path_of(namespace))
        inode = path.stat().st_ino
        present = self._open.get(door)
        if present and present.inode == inode and all(map(_listens, present.sockets)):
            return
        self.close(door)
        made: list[socket.socket] = []
        descriptor = netns.open_namespace(str(path))
        try:
            with netns.inside(descriptor):
                made.append(_listener(socket.AF_INET, (METADATA4, PORT)))
                if device is not None and Path("/proc/sys/net/ipv6").is_dir():
                    made.append(_listener(socket.AF_INET6, (METADATA6, PORT, 0, socket.if_nametoindex(device))))
        except OSError as error:
            for item in made:
                item.close()
            raise HostError(f"metadata cannot be served there: {error}") from error
        finally:
            os.close(descriptor)
        self._open[door] = _Sockets(inode, path, made)
        for item in made:
            self._server.add(item, door)

    def close(self, door: Door) -> None:
        """Listen there no longer; closed is fine. An open socket would keep the namespace."""
        present = self._open.pop(door, None)
        for item in present.sockets if present else ():
            self._server.remove(item)

    def close_all(self) -> None:
        """End it all; may be begun again."""
        for door in list(self._open):
            self.close(door)
        self._server.stop()

    def problem(self, door: Door) -> str | None:
        """What is wrong with a door that was opened."""
        present = self._open.get(door)
        if present is None or not all(map(_listens, present.sockets)):
            return "its metadata is not served"
        with contextlib.suppress(OSError):
            if present.path.stat().st_ino == present.inode:
                return None
        return "its metadata is served in a namespace that is gone"

    def _answer(self, door: Door, source: str, request: MetadataRequest) -> MetadataReply:
        """Runs in a thread of the server's."""
        handler = self.handler
        if handler is None:
            return MetadataReply(503, {"retry-after": "1"}, b"metadata is not served yet\n")
        network, router = (door.id, None) if door.kind == "network" else (None, door.id)
        mac = self._mac(door, source) if source.startswith("fe80:") else None
        return handler.answer(replace(request, source=source, network_id=network, router_id=router, source_mac=mac))

    def _mac(self, door: Door, source: str) -> str | None:
        """Whose link-local address it is: it is made of the MAC, or the kernel has just spoken to it."""
        digits = socket.inet_pton(socket.AF_INET6, source)[8:]
        made_of = bytes([digits[0] ^ 2, *digits[1:3], *digits[5:8]]).hex(":")
        if str(link_local(made_of)) == source:
            return made_of
        present = self._open.get(door)
        if present is None:
            return None
        descriptor = netns.open_namespace(str(present.path))
        try:
            with netns.inside(descriptor):
                return next((item.mac for item in neighbours() if item.address == source and item.mac), None)
        finally:
            os.close(descriptor)


def _listens(item: socket.socket) -> bool:
    try:
        return bool(item.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A new IPv6 address is not there at once, and one that is deleted and comes back is served again.
        level, option = (socket.IPPROTO_IP, _IP_FREEBIND) if family == socket.AF_INET else (_IPV6, _IPV6_FREEBIND)
        made.setsockopt(level, option, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
