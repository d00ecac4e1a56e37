"""Data coming in: the streamed upload of an image, and staging, the first half of an import.

The image's row names the upload before the first byte and is compared with it after the last, so that an image that
was deleted, or taken back because its upload looked dead, gets nothing. Until the data is whole, checked and on disk
it is not served; whatever goes wrong, the image is queued again and the space is free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, Gone, ServiceUnavailable, UnsupportedMediaType
from stackyard.core.runtime import Runtime
from stackyard.services.image import store, tables, usage
from stackyard.services.image.delivery import deliver
from stackyard.services.image.faults import RequestTimeout
from stackyard.services.image.formats import FormatRefused, Inspected
from stackyard.services.image.images import KIND
from stackyard.services.image.store import Content, Incoming
from stackyard.services.image.stores import StoreFault
from stackyard.services.image.stores.registry import stores_of

log = logging.getLogger("stackyard.image")

LOOK_AFTER_SECONDS = 5.0
"""When a reconciler first looks whether an upload is still at work."""

IDLE_SECONDS = 120.0
"""How long a client may send nothing before its upload is given up."""


async def upload(call: Call) -> Reply:
    """Take an image's data and make the image active."""
    return await _take(call, "saving")


async def stage(call: Call) -> Reply:
    """Take data to be imported later."""
    return await _take(call, "uploading")


async def _take(call: Call, status: str) -> Reply:
    image, token = call.target, ids.new_hex()
    size = _check_headers(call)
    store_id = _chosen_store(call)
    await call.write("image.upload.begin", begin, image["id"], token, status, usage.for_data(call, status))
    try:
        folder = await call.in_thread(store.incoming_dir, call.runtime, store_id if status == "saving" else None)
        incoming = await call.in_thread(Incoming, call.runtime, image["id"], token, folder)
        try:
            await _receive(call, incoming)
            if size is not None and incoming.size != size:
                raise BadRequest(f"The request announced {size} bytes of data, and {incoming.size} came.")
            if status == "uploading":
                await call.in_thread(complete_staged, call.runtime, image["id"], token, incoming)
            else:
                await call.in_thread(complete, call.runtime, image, token, incoming, store_id)
        finally:
            await asyncio.shield(call.in_thread(incoming.close))
    except BaseException as error:
        fault = _as_fault(call.runtime, error)
        # Given to a thread and not awaited: a cancelled request awaits nothing any more.
        failed = call.runtime.slow_threads.submit(fail, call.runtime, image["id"], token, status, fault)
        if isinstance(error, Exception):
            await asyncio.wrap_future(failed)
        if fault is error:
            raise
        raise fault from error
    return Reply(status=204)


def _check_headers(call: Call) -> int | None:
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise UnsupportedMediaType(
            f"Image data must be sent as application/octet-stream, not {media_type or 'untyped'}."
        )
    stated = call.request.headers.get("x-openstack-image-size")
    if stated is not None and not (stated.isascii() and stated.isdigit() and len(stated) < 20):
        raise BadRequest("Invalid or missing image size in request headers.")
    return None if stated is None else int(stated)


def _chosen_store(call: Call) -> str:
    stores = stores_of(call.runtime)
    chosen = call.request.headers.get("x-image-meta-store", stores.default)
    if chosen not in stores.written:
        raise BadRequest(f"There is no store '{chosen[:80]}' to write to; there are {', '.join(stores.written)}.")
    return chosen


async def _receive(call: Call, incoming: Incoming) -> None:
    """Hash and write one block in threads while the next one comes in."""
    loop = asyncio.get_running_loop()
    block: list[bytes] = []
    held = 0
    pending: asyncio.Future[Any] | None = None
    try:
        async for chunk in _in_time(call.request.stream()):
            block.append(chunk)
            held += len(chunk)
            if held < store.BLOCK_BYTES:
                continue
            if pending is not None:
                await pending
            pending = asyncio.gather(*(loop.run_in_executor(store.hashers, step) for step in incoming.steps(block)))
            block, held = [], 0
    finally:
        if pending is not None:
            await pending
    if block:
        await asyncio.gather(*(loop.run_in_executor(store.hashers, step) for step in incoming.steps(block)))


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks as they come; raises RequestTimeout when the next one does not."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise RequestTimeout(f"No data came for {IDLE_SECONDS:g} seconds; the upload has been given up.") from None
        if chunk is None:
            return
        yield chunk


def begin(
    tx: Transaction,
    image_id: str,
    token: str,
    status: str,
    require: Callable[[Transaction, str | None], None] | None = None,
) -> None:
    """Say that an upload has begun; Conflict when the image is not waiting for one.

    `require` is given the owner, and raises when he has no room for more.
    """
    row = tables.find(tx, image_id)
    if row is None:
        raise Gone(f"Image {image_id} has been deleted meanwhile.")
    if row.status != "queued":
        raise Conflict(f"Image status transition from {row.status} to {status} is not allowed")
    missing = [name for name in ("disk_format", "container_format") if row._mapping[name] is None]
    if missing and status == "saving":
        word = "Properties" if len(missing) > 1 else "Property"
        raise BadRequest(f"{word} {', '.join(missing)} must be set prior to saving data.")
    if require is not None:
        require(tx, row.project_id)
    tables.move(tx, image_id, None, "queued", {"status": status, "upload": token})
    reconcile.mark(tx, KIND, image_id, delay=LOOK_AFTER_SECONDS)
    timeline.record(tx, KIND, image_id, "upload began")


def complete_staged(runtime: Runtime, image_id: str, token: str, incoming: Incoming) -> None:
    """All has come: have it wait for its import. Raises Gone."""
    content = incoming.finish()
    target = store.staged_path(runtime, image_id)
    with store.settling(runtime):
        target.unlink(missing_ok=True)
        incoming.keep_as(target)
        after = {"upload": None, "size": content.size}
        if runtime.database.write("image.upload.end", _end, image_id, token, "uploading", after):
            return
        target.unlink(missing_ok=True)
    raise _gone(image_id)


def complete(runtime: Runtime, image: Mapping[Any, Any], token: str, incoming: Incoming, store_id: str) -> None:
    """All has come: check it, put it where it belongs, and say so. Raises FormatRefused, Gone, StoreFault."""
    image_id = image["id"]
    content = incoming.finish()
    inspected = incoming.inspect(image["disk_format"], image["container_format"])
    after = active_columns(content, inspected)

    def record(tx: Transaction, location: dict[str, Any]) -> bool:
        return _end(tx, image_id, token, "saving", after | {"locations": [location]})

    if not deliver(runtime, image_id, token, store_id=store_id, path=incoming.path, record=record):
        raise _gone(image_id)


def _gone(image_id: str) -> Gone:
    return Gone(
        f"Image {image_id} was deleted or its upload given up while its data came in; the data has been removed."
    )


def active_columns(content: Content, inspected: Inspected) -> dict[str, Any]:
    """What becomes of an image's columns when it has its data."""
    return {
        "status": "active",
        "upload": None,
        "size": content.size,
        "virtual_size": inspected.virtual_size,
        "checksum": content.md5,
        "os_hash_algo": store.HASH_ALGORITHM,
        "os_hash_value": content.sha512,
    }


def _end(tx: Transaction, image_id: str, token: str, status: str, values: Mapping[str, Any]) -> bool:
    if not tables.move(tx, image_id, token, status, values):
        return False
    timeline.record(tx, KIND, image_id, "upload ended", f"{values['size']} bytes")
    return True


def fail(runtime: Runtime, image_id: str, token: str, status: str, error: BaseException) -> None:
    """Queue the image again, and write down why."""
    reason = error.message if isinstance(error, ApiError) else type(error).__name__
    try:
        runtime.database.write("image.upload.fail", requeue, image_id, token, status, reason)
    except Exception:
        log.exception("an upload that failed was not taken back; its reconciler will do it", extra={"id": image_id})


def requeue(tx: Transaction, image_id: str, token: str | None, status: str, reason: str) -> bool:
    """Take an upload back; False when the image is past it."""
    values: dict[str, Any] = {"status": "queued", "upload": None, "size": None, "virtual_size": None, "locations": []}
    if not tables.move(tx, image_id, token, status, values):
        return False
    timeline.record(tx, KIND, image_id, "upload failed", reason)
    return True


def _as_fault(runtime: Runtime, error: BaseException) -> BaseException:
    if isinstance(error, FormatRefused):
        return UnsupportedMediaType(str(error), kind="InvalidImageData")
    if isinstance(error, OSError):
        return store.storage_fault(error, store.images_dir(runtime)) or error
    if isinstance(error, StoreFault):
        return ServiceUnavailable(str(error), kind="StoreFault")
    return error
