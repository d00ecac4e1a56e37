"""Makes stores agree with images' rows: frees what is no image's, ends uploads that died, does what tasks ask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome, Reconciler
from stackyard.core.runtime import Runtime
from stackyard.services.image import hashing, importing, store, tables, tasks
from stackyard.services.image.cache.reconcile import CacheReconciler
from stackyard.services.image.cache.reconcile import sweep as sweep_cache
from stackyard.services.image.images import KIND
from stackyard.services.image.jobs import Jobs
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.image.upload import requeue

log = logging.getLogger("stackyard.image")

LOOK_AGAIN_SECONDS = 5.0
PATIENCE_SECONDS = 2.0
"""How long a worker waits for a job before it goes to do something else."""

DIED = "the upload was broken off"
_UNSETTLED = frozenset({"saving", "uploading", "importing"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about one image: wait, end a dead upload, do its task, and which of its files stay."""

    wait: bool = False
    requeue: bool = False
    work: bool = False
    keep_data: bool = False
    keep_staged: bool = False


def plan(status: str | None, upload: str | None, *, alive: bool, task: bool) -> Plan:
    """From an image's status (None: there is no such image), its upload, whether that is at work, and a task to do.

    `keep_data` is about what its row names; what it does not name goes in any case.
    """
    if status is None:
        return Plan()
    if status in ("saving", "uploading") and upload is not None:
        return Plan(wait=True) if alive else Plan(requeue=True)
    if task:
        return Plan(work=True, keep_data=True, keep_staged=True)
    if status == "importing":
        return Plan(requeue=True)  # whose task is gone; nothing else would ever end it
    return Plan(keep_data=status in tables.WITH_DATA, keep_staged=status == "uploading")


@dataclass(frozen=True, slots=True)
class _Seen:
    row: Any
    task: Any
    copies: list[tuple[str, str]]


class ImageReconciler:
    """Brings the data of one image in line with its row."""

    kind = KIND
    deadline = 3600.0

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._jobs = Jobs(runtime.settings.image.fetches)

    def reconcile(self, resource_id: str) -> Outcome:
        """Take the next steps."""
        while True:
            if not self._jobs.running(resource_id):
                seen, steps = self._tidy(resource_id)
                if steps.wait:
                    return Again(LOOK_AGAIN_SECONDS)
                if not steps.work:
                    break
                work = hashing.run if seen.task.type == tasks.LOCATION_IMPORT else importing.run
                job: Callable[[], None] = partial(work, self.runtime, seen.row, seen.task)
            else:
                job = _nothing
            if not self._jobs.run(resource_id, job, patience=PATIENCE_SECONDS, ended=partial(self._wake, resource_id)):
                return Again(LOOK_AGAIN_SECONDS if self._jobs.running(resource_id) else 1.0)
        self._free(resource_id, seen)
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        """Give a task up; other work has no end but the right one, and the next start looks again."""
        self.runtime.database.write("image.task.expire", _expire, self.runtime, resource_id, reason)

    def _wake(self, image_id: str) -> None:
        try:
            self.runtime.database.write("image.job.ended", reconcile.mark, KIND, image_id)
        except Exception:
            log.exception("the end of a job was not told; its reconciler will look", extra={"id": image_id})

    def _tidy(self, image_id: str) -> tuple[_Seen, Plan]:
        """Look at the image, end what died, and remove the files that are not its own."""
        runtime = self.runtime
        with store.settling(runtime):
            while True:
                seen = runtime.database.read("image.look", _look, image_id)
                status: str | None = None if seen.row is None else seen.row.status
                upload: str | None = None if seen.row is None else seen.row.upload
                alive = upload is not None and store.is_being_written(runtime, image_id, upload)
                steps = plan(status, upload, alive=alive, task=seen.task is not None)
                if steps.wait:
                    return seen, steps
                if not steps.requeue:
                    break
                runtime.database.write("image.upload.died", requeue, image_id, upload, str(status), DIED)
            named = tables.locations_of(seen.row) if steps.keep_data else []
            keep = {location["store"] for location in named if not location.get("url")}
            store.remove(runtime, image_id, keep=keep, staged=not steps.keep_staged)
        if seen.row is None and seen.task is not None:
            runtime.database.write("image.task.orphan", tasks.end, seen.task.id, "the image was deleted")
        return seen, steps

    def _free(self, image_id: str, seen: _Seen) -> None:
        """Have stores that are not looked through give up what no row names. Raises StoreFault, to be tried again."""
        stores = stores_of(self.runtime)
        named = set() if seen.row is None else {(at["store"], at.get("key")) for at in tables.locations_of(seen.row)}
        for store_id, key in seen.copies:
            if (store_id, key) in named:
                continue
            if store_id in stores.written:
                stores.written[store_id].remove(image_id, key)
                self.runtime.database.write("image.copy.gone", tables.forget_copy, image_id, store_id, key)


def _nothing() -> None:
    """In the place of a job that runs already, and may have ended meanwhile."""


def _look(tx: Transaction, image_id: str) -> _Seen:
    return _Seen(tables.find(tx, image_id), tasks.running(tx, image_id), tables.copies_of(tx, image_id))


def _expire(tx: Transaction, runtime: Runtime, image_id: str, reason: str) -> None:
    task = tasks.running(tx, image_id)
    if task is None:
        return
    if task.type == tasks.LOCATION_IMPORT:
        hashing.fail(tx, image_id, task, reason)
    else:
        importing.fail(tx, runtime, image_id, task, reason)


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """The image service's reconcilers; a cloud whose stores are not described well is told so here, at its start."""
    stores_of(runtime)
    return [ImageReconciler(runtime), CacheReconciler(runtime)]


def sweep(runtime: Runtime) -> None:
    """At start: have every image looked at that was in the middle of something, and all data of no image."""
    found = set(store.stray(runtime))

    def mark(tx: Transaction) -> None:
        held = {
            (row.id, location["store"], location.get("key"))
            for row in tx.all(tables.STATUSES)
            for location in tables.locations_of(row)
        }
        files = {(image_id, store_id) for image_id, store_id, _ in held}
        due = {row.id for row in tx.all(tables.STATUSES) if row.status in _UNSETTLED}
        due |= {row.image_id for row in tx.all(tasks.ALL_RUNNING)}
        due |= {
            row.image_id for row in tx.all(tables.ALL_COPIES) if (row.image_id, row.store, row.copy_key) not in held
        }
        due |= {image_id for image_id, store_id in found if store_id is None or (image_id, store_id) not in files}
        for image_id in sorted(due):
            reconcile.mark(tx, KIND, image_id)

    runtime.database.write("image.sweep", mark)
    sweep_cache(runtime)
