"""The websocket of a console: bytes to and from the Unix socket at which the server's host has it.

Nothing of what passes is looked at or logged. A session that has begun goes on when its token expires, as in Nova.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from stackyard.core.call import Query
from stackyard.core.errors import ApiError
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.host.specs import ConsoleEndpoint
from stackyard.services.compute.consoles import access, elsewhere, tokens

log = logging.getLogger("stackyard.compute.consoles")

PROTOCOL = "binary"
_CHUNK = 64 << 10
_CONNECT_SECONDS = 10.0
_REFUSED, _GONE = 1008, 1011


async def serve(runtime: Runtime, websocket: WebSocket) -> None:
    """Refuse, or carry bytes until either side ends."""
    if not allowed_origin(runtime, websocket):
        await websocket.close(_REFUSED)
        return
    endpoint = await _endpoint(runtime, Query(websocket.scope.get("query_string", b"")).get("token") or "")
    if endpoint is None:
        await websocket.close(_REFUSED)
        return
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await _reached(endpoint)
    except (OSError, TimeoutError):
        log.warning("a console does not answer")
        await websocket.close(_GONE)
        return
    try:
        offered = websocket.scope.get("subprotocols") or ()
        await websocket.accept(PROTOCOL if PROTOCOL in offered else None)
        await _carry(websocket, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):  # whoever was there has gone already
            await websocket.close()


async def _reached(endpoint: ConsoleEndpoint | socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(endpoint, socket.socket):
        return await asyncio.open_connection(sock=endpoint, limit=_CHUNK)
    return await asyncio.open_unix_connection(endpoint.path, limit=_CHUNK)


async def _endpoint(runtime: Runtime, token: str) -> ConsoleEndpoint | socket.socket | None:
    """Where the console of a token is, or a way to it on another host; None when it opens nothing."""
    if not token or len(token) > 255:
        return None

    def find() -> ConsoleEndpoint | socket.socket | None:
        found = runtime.database.read("consoles.token", tokens.find, token)
        if found is None:
            return None
        try:
            if elsewhere.is_elsewhere(runtime, found.host):
                return elsewhere.connect(runtime, found.server_id, found.host, found.console)
            return access.driver_of(runtime, _Where(found)).console(found.server_id, found.console)
        except (ApiError, HostError):
            return None

    return await asyncio.get_running_loop().run_in_executor(runtime.slow_threads, find)


class _Where:
    """A token's row, as far as it says where its server is."""

    def __init__(self, row: Any) -> None:
        self.id, self.host, self.kind = row.server_id, row.host, row.kind


async def _carry(websocket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    tasks = {asyncio.ensure_future(_outward(websocket, reader)), asyncio.ensure_future(_inward(websocket, writer))}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _outward(websocket: WebSocket, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError, RuntimeError, WebSocketDisconnect):
        while data := await reader.read(_CHUNK):
            await websocket.send_bytes(data)


async def _inward(websocket: WebSocket, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError, WebSocketDisconnect):
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            writer.write(message.get("bytes") or (message.get("text") or "").encode())
            await writer.drain()


def allowed_origin(runtime: Runtime, websocket: WebSocket) -> bool:
    """Whether the page that asks is the cloud's own, or one of a host that the operator named.

    A program that is no browser says no origin.
    """
    origin = websocket.headers.get("origin")
    if origin is None:
        return True
    asked = _split(origin)
    scheme = {"ws": "http", "wss": "https"}.get(websocket.url.scheme, websocket.url.scheme)
    if asked is None:
        return False
    public = _split(runtime.settings.server.public_url)
    own = _split(f"{scheme}://{websocket.headers.get('host', '')}")
    if asked in (own, public):
        return True
    named = {name.strip().lower() for name in runtime.settings.compute.console_origins.split(",")} - {""}
    return asked[1] in named


def _split(url: str) -> tuple[str, str] | None:
    """Scheme and host name; ports do not count, as in Nova."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return (parts.scheme, host.lower()) if host and parts.scheme in ("http", "https") else None
