"""Data going out: an image's file, whole or a part, in large reads and constant memory."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stackyard.core.call import Call, Reply
from stackyard.core.errors import Forbidden, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.image import store
from stackyard.services.image.faults import RangeNotSatisfiable

READ_BYTES = 1 << 20

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


async def download(call: Call) -> Reply | Response:
    """An image's data; 204 while there is none."""
    image = call.target
    if image["status"] == "deactivated" and not call.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if image["status"] not in ("active", "deactivated"):
        return Reply(status=204)
    try:
        fd = await call.in_thread(os.open, store.data_path(call.runtime, image["id"]), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"The data of image {image['id']} is not in the store any more.") from None
    try:
        size = os.fstat(fd).st_size
        part = byte_range(call.request.headers.get("range"), size)
    except BaseException:
        os.close(fd)
        raise
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if image["checksum"]:
        headers["Content-MD5"] = image["checksum"]
    return FileResponse(call.runtime, fd, part, size, headers)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte asked for and the one past the last; None for everything. Raises RangeNotSatisfiable."""
    if header is None:
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is not None and (match[1] or match[2]):
        start = int(match[1]) if match[1] else max(0, size - int(match[2]))
        end = min(int(match[2]) + 1, size) if match[1] and match[2] else size
        if start < end:
            return start, end
    raise RangeNotSatisfiable(
        f"The range {header[:80]!r} is not within the image's {size} bytes.",
        headers={"Content-Range": f"bytes */{size}"},
    )


class FileResponse(Response):
    """Sends part of an open file, the next block being read while the last one is sent; closes the file."""

    def __init__(
        self, runtime: Runtime, fd: int, part: tuple[int, int] | None, size: int, headers: Mapping[str, str]
    ) -> None:
        self._runtime = runtime
        self._fd = fd
        self._start, self._end = part or (0, size)
        sent = {**headers, "Content-Length": str(self._end - self._start)}
        if part is not None:
            sent["Content-Range"] = f"bytes {self._start}-{self._end - 1}/{size}"
        super().__init__(status_code=200 if part is None else 206, headers=sent)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and then block after block, until the client goes away."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_blocks(send, gone)
        finally:
            gone.cancel()
            os.close(self._fd)

    async def _send_blocks(self, send: Send, gone: asyncio.Future[Any]) -> None:
        loop = asyncio.get_running_loop()
        position = self._start
        block = await loop.run_in_executor(self._runtime.slow_threads, self._read, position)
        while block and not gone.done():
            position += len(block)
            following = loop.run_in_executor(self._runtime.slow_threads, self._read, position)
            try:
                await send({"type": "http.response.body", "body": block, "more_body": True})
            finally:
                block = await following
        if position < self._end:
            # Ending the body here would pass a part off as the whole; the server closes the connection instead.
            return
        await send({"type": "http.response.body", "body": b""})

    def _read(self, position: int) -> bytes:
        return os.pread(self._fd, min(READ_BYTES, self._end - position), position)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
