"""The tasks of backups: `create`, `delete`, `import`. Restoring one is a task of the volume that it is restored to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.host.disks import VolumeDriver
from stackyard.host.errors import NotFoundError
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.backups import finding
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.reconcile.contents import archive
from stackyard.services.volume.reconcile.job import BACKUP, SNAPSHOT, VOLUME, Job, Told, driver_of
from stackyard.services.volume.reconcile.runner import Failure, Task

WAIT_SECONDS = 0.5


def create(job: Job) -> Outcome:
    """Keep the content of the volume, or of its snapshot; an incremental one waits for its parent."""
    row, parent = job.row, None
    if row.parent_id is not None:
        parent = job.runtime.database.read("backup.parent", BACKUP.read, row.parent_id)
        if parent is not None and parent.status == statuses.CREATING:
            return Again(WAIT_SECONDS)
    try:
        with _content(job) as data:
            parent_id = None if parent is None else finding.kept_as(parent)
            listed = archive(job.runtime).add(job.id, data, parent_id, job.is_wanted)
    except NotFoundError as error:
        raise GiveUp(str(error)) from None

    def kept(tx: Transaction, _now: Any) -> dict[str, Any]:
        _settle(tx, job)
        columns: dict[str, Any] = {"status": statuses.AVAILABLE, "object_count": listed.count, "fail_reason": None}
        return columns if row.data_timestamp is not None else {**columns, "data_timestamp": tx.now}

    job.finish(kept)
    return DONE


@contextlib.contextmanager
def _content(job: Job) -> Iterator[BinaryIO]:
    """What is to be kept. One that is written to meanwhile is read from a snapshot of our own, if need be."""
    driver, source = job.runtime.database.read("backup.source", _source, job)
    with driver.read(source) as data:
        yield data


def _source(tx: Transaction, job: Job) -> tuple[VolumeDriver, str]:
    row = job.row
    found = SNAPSHOT.read(tx, row.snapshot_id) if row.snapshot_id else VOLUME.read(tx, row.volume_id)
    if found is None:
        what = f"Snapshot {row.snapshot_id}" if row.snapshot_id else f"Volume {row.volume_id}"
        raise GiveUp(f"{what} has been deleted.")
    return driver_of(job.runtime, found.backend), str(found.id)


def _settle(tx: Transaction, job: Job) -> None:
    """What it was made of may be used for other things again."""
    if job.row.snapshot_id:
        snapshot = SNAPSHOT.read(tx, job.row.snapshot_id)
        if snapshot is not None and snapshot.status == statuses.BACKING_UP:
            SNAPSHOT.update(tx, snapshot.id, status=statuses.AVAILABLE)
    volume = VOLUME.read(tx, job.row.volume_id)
    if volume is not None and volume.status == statuses.BACKING_UP:
        tasks.update(tx, volume.id, status=statuses.AVAILABLE)
        state.settle(tx, volume.id)  # in-use, when it is attached


def create_failed(job: Job, reason: str) -> None:
    """What there is of it goes when it is deleted."""

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        _settle(tx, job)
        return {"status": statuses.ERROR, "fail_reason": reason}

    job.fail(reason, write, Told("013", "020"))


def delete(job: Job) -> Outcome:
    """Remove it; its quota is free. What another record of it has, too, stays until that one goes."""
    if not job.runtime.database.read("backup.shared", finding.shares_content, job.row):
        archive(job.runtime).remove(finding.kept_as(job.row))

    def forget(tx: Transaction, now: Any) -> None:
        BACKUP.delete(tx, now.id)
        usage.reserve_backups(tx, job.runtime, now.project_id, backups=-1, gigabytes=-now.size)

    job.gone(forget)
    return DONE


def delete_failed(job: Job, reason: str) -> None:
    """It stays, and may be deleted again."""
    columns = {"status": statuses.ERROR_DELETING, "fail_reason": reason}
    job.fail(reason, lambda _tx, _now: columns, Told("014", "025"))


def import_(job: Job) -> Outcome:
    """See whether what an imported record tells of is here."""
    try:
        listed = archive(job.runtime).find(finding.kept_as(job.row))
    except NotFoundError as error:
        raise GiveUp(str(error)) from None
    columns = {"status": statuses.AVAILABLE, "object_count": listed.count, "fail_reason": None}
    job.finish(lambda _tx, _now: columns)
    return DONE


TASKS: dict[str, Task] = {"create": create, "delete": delete, "import": import_}
FAILURES: dict[str, Failure] = {"create": create_failed, "delete": delete_failed, "import": create_failed}
