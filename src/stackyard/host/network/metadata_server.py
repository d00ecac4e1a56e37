"""A small HTTP server for many listening sockets: one thread for all connections, a few for the answers.

Guests are not trusted: a request has limits in size and time, and each sender in how many it may have at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import re
import resource
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from stackyard.host.network.metadata import Door, MetadataReply, MetadataRequest

log = logging.getLogger("stackyard.metadata")

HEAD_BYTES = 16 << 10
BODY_BYTES = 64 << 10
REQUEST_SECONDS = 10.0
ANSWER_SECONDS = 20.0
CONNECTIONS = 512
CONNECTIONS_OF_ONE = 16
_THREADS = 4
_ACCEPTS_AT_ONCE = 32
_DESCRIPTORS = 16384

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]{0,2047}) HTTP/1\.[01]\Z")
_HEADER = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}):[ \t]*([\x20-\x7e\t\x80-\xff]*?)[ \t]*\Z")

Answer = Callable[[Door, str, MetadataRequest], MetadataReply]
"""Who answers, in a thread: where the request came in, its sender's address, what it asks."""


class _Refused(Exception):
    """A request that is answered with an HTTP status and no more."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class MetadataServer:
    """Serves the sockets that it is given. Threads begin with the first of them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._senders: Counter[tuple[Door, str]] = Counter()

    def add(self, listener: socket.socket, door: Door) -> None:
        """Serve a listening socket that does not block."""
        with self._guard:
            loop = self._loop or self._begin()
        loop.call_soon_threadsafe(loop.add_reader, listener, self._accept, loop, listener, door)

    def remove(self, listener: socket.socket) -> None:
        """Close a listening socket; returns when it is closed. Requests that are being answered go on."""
        loop = self._loop
        if loop is None or not loop.is_running():
            listener.close()
            return
        done = threading.Event()

        def forget() -> None:
            loop.remove_reader(listener)
            listener.close()
            done.set()

        loop.call_soon_threadsafe(forget)
        done.wait(ANSWER_SECONDS)

    def stop(self) -> None:
        """End the threads; what is being answered is cut off."""
        with self._guard:
            loop, thread, pool = self._loop, self._thread, self._pool
            self._loop = self._thread = self._pool = None
        if loop is None or thread is None or pool is None:
            return
        loop.call_soon_threadsafe(self._cancel_all, loop)
        thread.join()
        loop.close()
        pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> asyncio.AbstractEventLoop:
        _allow_descriptors()
        self._loop = loop = asyncio.SelectorEventLoop()
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="metadata")
        self._thread = threading.Thread(target=loop.run_forever, name="metadata", daemon=True)
        self._thread.start()
        return loop

    def _cancel_all(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = list(self._tasks)
        for task in waiting:
            task.cancel()

        async def end() -> None:
            await asyncio.gather(*waiting, return_exceptions=True)
            loop.stop()

        self._ending = loop.create_task(end())

    # ------------------------------------------------------------------------------------------------ in the loop

    def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, door: Door) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, address = listener.accept()
            except OSError:  # nobody is waiting, or whoever was has gone, or no descriptor is left
                return
            connection.setblocking(False)  # noqa: FBT003
            sender = (door, str(address[0]).partition("%")[0])
            if len(self._tasks) >= CONNECTIONS or self._senders[sender] >= CONNECTIONS_OF_ONE:
                connection.close()
                continue
            self._senders[sender] += 1
            task = loop.create_task(self._serve(connection, sender))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, sender: tuple[Door, str]) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError):
                await self._exchange(connection, sender)
        finally:
            self._senders[sender] -= 1
            if not self._senders[sender]:
                del self._senders[sender]
            connection.close()

    async def _exchange(self, connection: socket.socket, sender: tuple[Door, str]) -> None:
        loop = asyncio.get_running_loop()
        method = ""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await _read(loop, connection)
            method = request.method
            async with asyncio.timeout(ANSWER_SECONDS):
                reply = await loop.run_in_executor(self._pool, self._answer, *sender, request)
            status, headers, body = reply.status, reply.headers, reply.body
        except _Refused as refused:
            status, headers, body = refused.status, {}, f"{http.HTTPStatus(refused.status).phrase}\n".encode()
        except TimeoutError:
            status, headers, body = 504 if method else 408, {}, b"too slow\n"
        except Exception:
            log.exception("a request for metadata could not be answered")
            status, headers, body = 500, {}, b"metadata could not be read\n"
        async with asyncio.timeout(REQUEST_SECONDS):
            await loop.sock_sendall(connection, render(status, headers, body, head_only=method == "HEAD"))
            connection.shutdown(socket.SHUT_WR)


def _allow_descriptors() -> None:
    """Every network takes two sockets: take what the system lets a process have, where it has little by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _read(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> MetadataRequest:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > HEAD_BYTES:
            raise _Refused(431)
        more = await loop.sock_recv(connection, 4096)
        if not more:
            raise OSError("the guest has gone")
        data += more
    request, length = parse_head(bytes(data[:end]))
    body = data[end + 4 :]
    while len(body) < length:
        more = await loop.sock_recv(connection, 1 << 16)
        if not more:
            raise OSError("the guest has gone")
        body += more
    return replace(request, body=bytes(body[:length]))


def parse_head(head: bytes) -> tuple[MetadataRequest, int]:
    """The request of an HTTP head, without its last empty line, and how long its body is. Raises _Refused."""
    first, *lines = head.split(b"\r\n")
    line = _REQUEST_LINE.match(first)
    if line is None:
        raise _Refused(400)
    headers: dict[str, str] = {}
    for text in lines:
        found = _HEADER.match(text)
        if found is None:
            raise _Refused(400)
        headers[found[1].decode().lower()] = found[2].decode("latin-1")
    if "transfer-encoding" in headers:
        raise _Refused(411)
    length = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,12}", length):
        raise _Refused(400)
    if int(length) > BODY_BYTES:
        raise _Refused(413)
    return MetadataRequest(source="", method=line[1].decode(), path=line[2].decode(), headers=headers), int(length)


def render(status: int, headers: dict[str, str], body: bytes, *, head_only: bool = False) -> bytes:
    """The whole answer; the connection ends with it."""
    shown = {"content-type": "text/plain; charset=utf-8", **headers}
    shown |= {"content-length": str(len(body)), "connection": "close"}
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in shown.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of a metadata answer has more than one line")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (b"" if head_only else body)
