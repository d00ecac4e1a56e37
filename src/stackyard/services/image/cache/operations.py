"""The cache's API: what is here and queued, queue one, remove one or all."""

from __future__ import annotations

from typing import Any

from stackyard.core import ids
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.image import images
from stackyard.services.image.cache import copies, tables

_TARGETS = {"": (tables.CACHED, tables.QUEUED), "cache": (tables.CACHED,), "queue": (tables.QUEUED,)}


def _require_cache(call: Call) -> None:
    if not call.runtime.settings.image.cache_size:
        raise NotFound("Caching via API is not supported at this site: image.cache_size is 0.")


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """What this host has, and what it is to fetch."""
    _require_cache(call)
    rows = tables.rows(tx, tables.host_of(call.runtime))
    return {
        "cached_images": [_view(row) for row in rows if row.status == tables.CACHED],
        "queued_images": [row.image_id for row in rows if row.status == tables.QUEUED],
    }


def _view(row: Any) -> dict[str, Any]:
    return {
        "image_id": row.image_id,
        "hits": row.hits,
        "last_accessed": row.last_accessed.timestamp() if row.hits else 0,
        "last_modified": row.last_modified.timestamp(),
        "size": row.size,
    }


def queue(tx: Transaction, call: Call) -> None:
    """Have an image's data fetched to this host."""
    _require_cache(call)
    image = call.target
    if image["status"] != "active":
        raise BadRequest("Only images with status active can be targeted for queueing")
    tables.queue(tx, tables.host_of(call.runtime), image["id"])


def load_entry(tx: Transaction, call: Call) -> Any:
    """The image of an entry; of one that only the cache still knows, as much as that."""
    image_id = call.path["image_id"]
    try:
        return images.load(tx, call)
    except NotFound:
        if ids.is_uuid(image_id) and tables.find(tx, tables.host_of(call.runtime), image_id) is not None:
            return call.default_target() | {"id": image_id}
        raise


def delete(tx: Transaction, call: Call) -> None:
    """Remove an image's data from this host, or from the queue."""
    _require_cache(call)
    tables.drop(tx, tables.host_of(call.runtime), call.target["id"])


def clear(tx: Transaction, call: Call) -> None:
    """Remove all that is here, or queued, or both."""
    _require_cache(call)
    target = call.request.headers.get("x-image-cache-clear-target", "").lower()
    if target not in _TARGETS:
        raise BadRequest("If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.")
    host = tables.host_of(call.runtime)
    for row in tables.rows(tx, host):
        if row.status in _TARGETS[target]:
            tables.drop(tx, host, row.image_id)


async def prune(call: Call) -> dict[str, int]:
    """Bring the copies within their limit."""
    _require_cache(call)
    files, freed = await call.in_thread(copies.prune, call.runtime)
    return {"total_files_pruned": files, "total_bytes_pruned": freed}


async def clean(call: Call) -> Reply:
    """Remove files that belong to nothing."""
    from stackyard.services.image.cache.reconcile import sweep

    _require_cache(call)
    await call.in_thread(sweep, call.runtime)
    return Reply(b"", status=200, media_type="text/plain")
