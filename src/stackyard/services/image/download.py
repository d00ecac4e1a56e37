"""Data going out: an image's data, whole or a part, from the best store that has it, in constant memory."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stackyard.core.call import Call, Reply
from stackyard.core.errors import Forbidden, NotFound, ServiceUnavailable
from stackyard.core.runtime import Runtime
from stackyard.services.image import tables
from stackyard.services.image.cache import copies
from stackyard.services.image.faults import RangeNotSatisfiable
from stackyard.services.image.stores import DataMissing, Source, StoreFault
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import stores_of

log = logging.getLogger("stackyard.image")

READ_BYTES = 1 << 20

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


async def download(call: Call) -> Reply | Response:
    """An image's data; 204 while there is none."""
    image = call.target
    if image["status"] == "deactivated" and not call.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if image["status"] not in tables.WITH_DATA:
        return Reply(status=204)
    source: Source = await call.in_thread(open_image, call.runtime, image["id"])
    try:
        part = byte_range(call.request.headers.get("range"), source.size)
    except BaseException:
        await call.in_thread(source.close)
        raise
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if image["checksum"]:
        headers["Content-MD5"] = image["checksum"]
    return SourceResponse(call.runtime, source, part, headers)


def open_image(runtime: Runtime, image_id: str) -> Source:
    """An active image's data from this host's cache, or the heaviest store that gives it; blocks.

    Raises NotFound, ServiceUnavailable.
    """
    copy = copies.open_copy(runtime, image_id)
    if copy is not None:
        return copy
    row = runtime.database.read("image.open", tables.find, image_id)
    stores = stores_of(runtime)
    locations = [] if row is None else stores.by_weight(tables.locations_of(row))
    failure: Exception | None = None
    for location in locations:
        try:
            return copies.keeping(runtime, row, location, stores.open(image_id, location))
        except (StoreFault, NotAllowed, OSError) as error:
            log.warning("a store did not give an image's data", extra={"id": image_id, "store": location["store"]})
            failure = error if failure is None or isinstance(failure, DataMissing) else failure
    if failure is None or isinstance(failure, DataMissing):
        raise NotFound(f"The data of image {image_id} is not in the store any more.") from failure
    raise ServiceUnavailable(f"The data of image {image_id} cannot be read now: {failure}") from failure


def byte_range(header: str | None, size: int | None) -> tuple[int, int] | None:
    """The first byte asked for and the one past the last; None for everything. Raises RangeNotSatisfiable."""
    if header is None or size is None:
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


class SourceResponse(Response):
    """Sends part of a source, the next block being read while the last one is sent; closes the source."""

    def __init__(
        self, runtime: Runtime, source: Source, part: tuple[int, int] | None, headers: Mapping[str, str]
    ) -> None:
        self._runtime = runtime
        self._source = source
        size = source.size
        self._start, self._end = part or (0, size)
        sent = dict(headers)
        if self._end is not None:
            sent["Content-Length"] = str(self._end - self._start)
        if part is not None:
            sent["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"
        super().__init__(status_code=200 if part is None else 206, headers=sent)
        if self._end is None:
            del self.headers["content-length"]  # which Response sets for its own, empty body

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
            # Given to a thread and not awaited: a cancelled request awaits nothing any more.
            self._runtime.slow_threads.submit(self._source.close)

    async def _send_blocks(self, send: Send, gone: asyncio.Future[Any]) -> None:
        try:
            whole = await self._copy(send, gone)
        except (StoreFault, NotAllowed):
            log.warning("a store broke off while an image was downloaded", exc_info=True)
            whole = False
        if whole:
            await send({"type": "http.response.body", "body": b""})
        # Otherwise ending the body would pass a part off as the whole; the server closes the connection instead.

    async def _copy(self, send: Send, gone: asyncio.Future[Any]) -> bool:
        """Send all blocks; whether none is missing."""
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
        return not block and (self._end is None or position == self._end)

    def _read(self, position: int) -> bytes:
        length = READ_BYTES if self._end is None else min(READ_BYTES, self._end - position)
        return self._source.read(position, length) if length > 0 else b""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
