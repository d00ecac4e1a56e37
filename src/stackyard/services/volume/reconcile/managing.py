"""The tasks of taking over what a back end has: `manage` of volumes and of snapshots."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError
from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.services.volume import statuses
from stackyard.services.volume.managing import references
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.reconcile.job import Job, Told


def manage(job: Job) -> Outcome:
    """Give what is there under the reference the volume's own id, and its size to the volume."""
    reference, driver = job.arguments["reference"], job.driver
    found = driver.inspect(job.id) or driver.inspect(reference)
    if found is None:
        raise GiveUp(f"The back end {job.row.backend} has no volume {reference}.")
    size = references.gib(found.size)

    def count(tx: Transaction, now: Any) -> dict[str, Any]:
        """Before anything is touched: a project that may not have so much gets nothing of it."""
        if now.size:
            return {}
        try:
            usage.reserve(tx, job.runtime, now.project_id, now.volume_type_id, gigabytes=size)
        except ApiError as error:
            raise GiveUp(error.message) from None
        return {"size": size}

    job.write("size", count)
    if found.id == reference:
        driver.clone(job.id, size, reference)
    driver.remove(reference)
    job.finish(lambda tx, _now: {"status": statuses.AVAILABLE, "launched_at": tx.now, "fault": None})
    return DONE


def manage_snapshot(job: Job) -> Outcome:
    """See that it is there."""
    if job.id not in {one.id for one in job.driver.snapshots()}:
        raise GiveUp(f"The back end {job.row.backend} has no snapshot {job.id}.")
    columns = {"status": statuses.AVAILABLE, "progress": "100%", "fault": None}
    job.finish(lambda _tx, _now: columns)
    return DONE


def manage_failed(job: Job, reason: str) -> None:
    """It is in an error state with the reason; deleting it changes nothing in the back end."""
    columns = {"status": statuses.ERROR_MANAGING, "fault": reason}
    job.fail(reason, lambda _tx, _now: columns, Told("008", "001"))
