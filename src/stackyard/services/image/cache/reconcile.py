"""Fetches what is queued for this host, and removes the files of what is not wanted here."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Outcome
from stackyard.core.runtime import Runtime
from stackyard.services.image import tables as images
from stackyard.services.image.cache import copies, tables


class CacheReconciler:
    """Brings one image's copy on this host in line with its row."""

    deadline = 3600.0

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.kind = tables.kind_of(tables.host_of(runtime))

    def reconcile(self, resource_id: str) -> Outcome:
        """Fetch or remove. Raises what the store raises, to be tried again."""
        database, host = self.runtime.database, tables.host_of(self.runtime)
        row = database.read("image.cache.look", tables.find, host, resource_id)
        if row is None or (row.status == tables.CACHED and not row.copied):
            (copies.folder(self.runtime) / resource_id).unlink(missing_ok=True)
            return DONE
        if row.status == tables.QUEUED:
            image = database.read("image.cache.image", images.find, resource_id)
            if image is None or image.status != "active":
                database.write("image.cache.gone", tables.drop, host, resource_id)
            elif not copies.fetch(self.runtime, image):
                self.expire(resource_id, "it is too large for the cache, has no digest, or its data is not right")
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        """Give up."""
        self.runtime.database.write("image.cache.expire", _expire, self.runtime, resource_id, reason)


def _expire(tx: Transaction, runtime: Runtime, image_id: str, reason: str) -> None:
    host = tables.host_of(runtime)
    row = tables.find(tx, host, image_id)
    if row is not None and row.status == tables.QUEUED:
        tables.drop(tx, host, image_id)
        timeline.record(tx, "image", image_id, "not kept on the host", reason)


def sweep(runtime: Runtime) -> None:
    """Have every queued image looked at, every file without a row removed, and what nobody writes to any more."""
    if not (runtime.settings.image.cache_size or (copies.folder(runtime)).exists()):
        return
    folder = copies.folder(runtime)
    files = {path.name for path in folder.iterdir() if path.is_file()}
    for path in (folder / "incoming").iterdir():
        _remove_dead(path)

    def mark(tx: Transaction) -> None:
        host = tables.host_of(runtime)
        rows = {row.image_id: row for row in tables.rows(tx, host)}
        for image_id in sorted(files - rows.keys()):
            tables.mark(tx, host, image_id)
        for row in rows.values():
            if row.status == tables.QUEUED:
                tables.mark(tx, host, row.image_id)
            elif row.copied and row.image_id not in files:
                tables.drop(tx, host, row.image_id)

    runtime.database.write("image.cache.sweep", mark)


def _remove_dead(path: Path) -> None:
    """Remove a file that was being written, unless it still is."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # its writer is alive
    finally:
        os.close(fd)
