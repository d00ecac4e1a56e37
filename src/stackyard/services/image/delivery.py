"""Bringing complete data into a store, and writing down that it is there: both, or neither for long.

A store of files is looked through by the reconciler, under the lock that `store.settling` holds. Of any other store it
is written down first that it may hold data, under a key that no other attempt uses; what no image's row names after all
is removed by the reconciler.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.image import store, tables
from stackyard.services.image.images import KIND
from stackyard.services.image.stores.files import FileStore
from stackyard.services.image.stores.registry import stores_of

Record = Callable[[Transaction, dict[str, Any]], bool]
"""Writes a location to the image's row; False when the image does not wait for it any more."""


def deliver(runtime: Runtime, image_id: str, key: str, *, store_id: str, path: Path, record: Record) -> bool:
    """Bring the file at `path` into a store and have it recorded; False, with nothing left, when `record` says so.

    `key` is never used for two attempts at a time. May be run again after a crash. Raises StoreFault, OSError.
    """
    target = stores_of(runtime).written[store_id]
    remote = not isinstance(target, FileStore)
    if remote:
        runtime.database.write("image.copy.expect", tables.expect_copy, image_id, store_id, key)
    try:
        target.prepare(image_id, key, path)
        location = {"store": store_id, "metadata": {}} | ({"key": key} if remote else {})
        with store.settling(runtime):
            target.commit(image_id, key)
            if runtime.database.write("image.copy.record", record, location):
                return True
            if not remote:
                target.remove(image_id, key)
    except BaseException:
        if remote:
            runtime.database.write("image.copy.failed", reconcile.mark, KIND, image_id, delay=1.0)
        raise
    if remote:
        runtime.database.write("image.copy.unwanted", reconcile.mark, KIND, image_id, delay=1.0)
    return False
