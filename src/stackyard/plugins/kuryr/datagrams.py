"""Published UDP ports: datagrams are carried to and fro, each client by a socket of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

log = logging.getLogger("stackyard.kuryr")

IDLE_SECONDS = 90.0
"""How long a client is remembered that neither asks nor is answered."""

MOST_CLIENTS = 1024
"""Of one published port at the same time; further ones are not heard."""


class _Answers(asyncio.DatagramProtocol):
    """What comes back for one client."""

    def __init__(self, relay: Datagrams, client: Any) -> None:
        self._relay = relay
        self._client = client

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Carry it back."""
        del addr
        self._relay.answer(self._client, data)

    def error_received(self, exc: Exception) -> None:
        """The container does not listen: as with any lost datagram, nobody is told."""
        del exc


class Datagrams(asyncio.DatagramProtocol):
    """Leads datagrams on to `target`, by sockets that `connector` makes (in another thread)."""

    def __init__(self, target: tuple[str, int], connector: Callable[[], socket.socket]) -> None:
        self._target = target
        self._connector = connector
        self._here: asyncio.DatagramTransport | None = None
        self._clients: dict[Any, asyncio.DatagramTransport] = {}
        self._ends: dict[Any, asyncio.TimerHandle] = {}
        self._waiting: dict[Any, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        """It listens."""
        self._here = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It listens no more."""
        del exc
        for client in list(self._clients):
            self._forget(client)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Carry it on; the first of a client waits for its socket."""
        if addr in self._clients:
            self._clients[addr].sendto(data)
            self._keep(addr)
        elif addr in self._waiting:
            if len(self._waiting[addr]) < 64:
                self._waiting[addr].append(data)
        elif len(self._clients) + len(self._waiting) < MOST_CLIENTS:
            self._waiting[addr] = [data]
            task = asyncio.ensure_future(self._connect(addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: Any) -> None:
        loop = asyncio.get_running_loop()
        try:
            inner = await loop.run_in_executor(None, self._connector)
            inner.settimeout(0)
            inner.connect(self._target)
            transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(self, client), sock=inner)
        except OSError as error:
            self._waiting.pop(client, None)
            log.info("a published port leads nowhere", extra={"reason": str(error)})
            return
        self._clients[client] = transport
        for data in self._waiting.pop(client):
            transport.sendto(data)
        self._keep(client)

    def answer(self, client: Any, data: bytes) -> None:
        """Carry a datagram back to a client."""
        if self._here is not None and client in self._clients:
            self._here.sendto(data, client)
            self._keep(client)

    def _keep(self, client: Any) -> None:
        if client in self._ends:
            self._ends[client].cancel()
        self._ends[client] = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._forget, client)

    def _forget(self, client: Any) -> None:
        end = self._ends.pop(client, None)
        if end is not None:
            end.cancel()
        transport = self._clients.pop(client, None)
        if transport is not None:
            transport.close()
