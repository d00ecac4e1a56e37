"""The tasks of snapshots."""

from __future__ import annotations

from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.host.errors import NotFoundError
from stackyard.services.volume.reconcile.job import Job
from stackyard.services.volume.reconcile.runner import Failure, Task
from stackyard.services.volume.statuses import AVAILABLE, ERROR, ERROR_DELETING


def create(job: Job) -> Outcome:
    """Keep what the volume holds at this moment."""
    try:
        job.driver.snapshot(job.id, job.row.volume_id)
    except NotFoundError:
        raise GiveUp(f"Volume {job.row.volume_id} is not there any more.") from None
    job.finish(lambda _tx, _now: {"status": AVAILABLE, "progress": "100%", "fault": None})
    return DONE


def delete(job: Job) -> Outcome:
    """Remove it."""
    from stackyard.services.volume.snapshots import removal

    job.driver.remove_snapshot(job.id)
    job.gone(lambda tx, now: removal.forget(tx, job.runtime, now))
    return DONE


def failed(job: Job, reason: str) -> None:
    """It is in an error state with the reason."""
    status = ERROR_DELETING if job.task == "delete" else ERROR
    job.fail(reason, lambda _tx, _now: {"status": status, "fault": reason})


TASKS: dict[str, Task] = {"create": create, "delete": delete}
FAILURES: dict[str, Failure] = {}
