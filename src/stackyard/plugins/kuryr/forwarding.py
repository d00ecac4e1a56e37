"""Published ports: what comes to a port of this host is carried to a container, over its tenant network.

A tenant network has no way in from the host, and needs none: a connection is taken on here and led on from the
namespace of the network's own DHCP server, which has an address on it. So the container sees that address as its peer,
and its security groups are asked as for any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stackyard.core.errors import Conflict
from stackyard.host.namespaces import inside
from stackyard.plugins.kuryr.datagrams import Datagrams

log = logging.getLogger("stackyard.kuryr")

_CHUNK = 64 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Published:
    """A port of this host (`host_ip` empty: of all its addresses; the first free from `host_port` to the end, any when
    that is 0), and where it leads: a port of an address on a network."""

    protocol: str
    host_ip: str
    host_port: int
    host_port_end: int
    network_id: str
    address: str
    port: int


Entrance = Callable[[str], str | None]
"""From a network's id to the path of a namespace with an address on it."""


class Forwarder:
    """Listens for the published ports of endpoints, by their ids. Any thread may call."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._open: dict[str, list[asyncio.AbstractServer | asyncio.DatagramTransport]] = {}
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, endpoint_id: str, wanted: Sequence[Published]) -> list[Published]:
        """Listen instead of what was listened for before; returns what it has become. Raises Conflict, nothing open."""
        with self._guard:
            self._run(self._end(endpoint_id))
            sockets: list[socket.socket] = []
            try:
                found = []
                for one in wanted:
                    listener = _listen(one)
                    sockets.append(listener)
                    found.append(replace(one, host_port=listener.getsockname()[1]))
            except Conflict:
                for listener in sockets:
                    listener.close()
                raise
            self._run(self._begin(endpoint_id, list(zip(found, sockets, strict=True))))
            return found

    def close(self, endpoint_id: str) -> None:
        """Listen no more; connections that are there stay until they end."""
        with self._guard:
            if endpoint_id in self._open:
                self._run(self._end(endpoint_id))

    def stop(self) -> None:
        """Listen to nothing any more, and end the thread."""
        with self._guard:
            if self._loop is None:
                return
            for endpoint_id in list(self._open):
                self._run(self._end(endpoint_id))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the loop's thread do it, and wait."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._serve, args=(self._loop,), name="published", daemon=True).start()
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _begin(self, endpoint_id: str, pairs: list[tuple[Published, socket.socket]]) -> None:
        loop = asyncio.get_running_loop()
        servers = self._open.setdefault(endpoint_id, [])
        for one, listener in pairs:
            listener.settimeout(0)
            if one.protocol == "udp":
                relay = Datagrams((one.address, one.port), self._connector(one))
                transport, _ = await loop.create_datagram_endpoint(lambda relay=relay: relay, sock=listener)  # type: ignore[misc]
                servers.append(transport)
            else:
                servers.append(await asyncio.start_server(self._carrier(one), sock=listener))

    async def _end(self, endpoint_id: str) -> None:
        for server in self._open.pop(endpoint_id, ()):
            server.close()

    def _connector(self, one: Published) -> Callable[[], socket.socket]:
        kind = socket.SOCK_DGRAM if one.protocol == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in one.address else socket.AF_INET

        def make() -> socket.socket:
            path = self._entrance(one.network_id)
            if path is None:
                raise OSError(f"network {one.network_id} has no DHCP server on this host")
            return _socket_in(path, family, kind)

        return make

    def _carrier(self, one: Published) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        make = self._connector(one)

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            loop = asyncio.get_running_loop()
            try:
                inner = await loop.run_in_executor(None, make)
                inner.settimeout(0)
                await asyncio.wait_for(loop.sock_connect(inner, (one.address, one.port)), _CONNECT_SECONDS)
                far_reader, far_writer = await asyncio.open_connection(sock=inner)
            except (OSError, TimeoutError) as error:
                log.info("a published port leads nowhere", extra={"port": one.host_port, "reason": str(error)})
                writer.transport.abort()
                return
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            for end in (writer, far_writer):
                end.close()

        return carry


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until one side says that no more comes, which the other is told."""
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        sink.transport.abort()


def _socket_in(path: str, family: int, kind: int) -> socket.socket:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with inside(descriptor):
            return socket.socket(family, kind)
    finally:
        os.close(descriptor)


def _listen(one: Published) -> socket.socket:
    """The first port of the range that is free; raises Conflict when none is."""
    for port in range(one.host_port, max(one.host_port, one.host_port_end) + 1):
        with contextlib.suppress(OSError):
            return _bound(one, port)
    where = f"{one.host_ip or 'all addresses'}, {one.protocol} port {one.host_port}"
    end = f" to {one.host_port_end}" if one.host_port_end > one.host_port else ""
    raise Conflict(f"This host cannot listen on {where}{end}: it is in use, or the address is not the host's.")


def _bound(one: Published, port: int) -> socket.socket:
    host = one.host_ip
    both = not host or host == "::"
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    found = socket.socket(family, socket.SOCK_DGRAM if one.protocol == "udp" else socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0 if one.protocol == "udp" else 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        found.bind((host or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))  # noqa: S104  as Docker does
        if one.protocol == "tcp":
            found.listen(512)
    except OSError:
        found.close()
        raise
    return found
