"""The tasks of volumes; `tasks.py` of the service has the table of their arguments and of what each leads to."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome
from stackyard.services.volume.reconcile import contents
from stackyard.services.volume.reconcile.job import Job
from stackyard.services.volume.reconcile.runner import Failure, Task
from stackyard.services.volume.statuses import AVAILABLE, CREATING, ERROR, ERROR_DELETING
from stackyard.services.volume.tables import snapshots, volumes

WAIT_SECONDS = 0.2

_SNAPSHOTS = sa.select(snapshots.c.id).where(snapshots.c.volume_id == bindparam("volume"))
_COPIES = sa.select(volumes.c.id).where(
    volumes.c.source_volid == bindparam("volume"), volumes.c.status == bindparam("status")
)


def create(job: Job) -> Outcome:
    """Make it, with the content of what it is made from."""
    contents.SOURCES[job.arguments["source"]](job)
    job.finish(lambda tx, _now: {"status": AVAILABLE, "launched_at": tx.now, "fault": None})
    return DONE


def create_failed(job: Job, reason: str) -> None:
    """What there is of it goes when it is deleted."""
    job.fail(reason, lambda _tx, _now: {"status": ERROR, "fault": reason})


def delete(job: Job) -> Outcome:
    """Remove it, once nothing is copied from it any more, and (asked to delete them too) its snapshots are gone."""
    from stackyard.services.volume.volumes import removal

    if job.runtime.database.read("volume.needed", _is_needed, job):
        return Again(WAIT_SECONDS)
    driver = job.driver
    driver.unmount(job.id)
    driver.remove(job.id)
    job.gone(lambda tx, now: removal.forget(tx, job.runtime, now))
    return DONE


def _is_needed(tx: Transaction, job: Job) -> bool:
    if tx.first(_COPIES, {"volume": job.id, "status": CREATING}) is not None:
        return True
    return bool(job.arguments.get("cascade")) and tx.first(_SNAPSHOTS, {"volume": job.id}) is not None


def delete_failed(job: Job, reason: str) -> None:
    """It stays, and may be deleted again."""
    job.fail(reason, lambda _tx, _now: {"status": ERROR_DELETING, "fault": reason})


def failed(job: Job, reason: str) -> None:
    """Of a task that has no other way to fail."""
    job.fail(reason, lambda _tx, _now: {"status": ERROR, "fault": reason})


TASKS: dict[str, Task] = {"create": create, "delete": delete}
FAILURES: dict[str, Failure] = {"create": create_failed, "delete": delete_failed}
