"""The tasks of snapshots."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.host.errors import NotFoundError
from stackyard.services.volume.reconcile import managing
from stackyard.services.volume.reconcile.job import VOLUME, Job, Told
from stackyard.services.volume.reconcile.runner import Failure, Task
from stackyard.services.volume.snapshots import removal
from stackyard.services.volume.statuses import AVAILABLE, CREATING, ERROR, ERROR_DELETING
from stackyard.services.volume.tables import volumes

WAIT_SECONDS = 0.2

_COPIES = sa.select(volumes.c.id).where(volumes.c.snapshot_id == bindparam("snapshot"), volumes.c.status == CREATING)


def create(job: Job) -> Outcome:
    """Keep what the volume holds at this moment."""
    try:
        job.driver.snapshot(job.id, job.row.volume_id)
    except NotFoundError:
        raise GiveUp(f"Volume {job.row.volume_id} is not there any more.") from None
    of_one_moment = "live_snapshot" in job.driver.abilities

    def kept(tx: Transaction, _now: Any) -> dict[str, Any]:
        volume = VOLUME.read(tx, job.row.volume_id)
        if not of_one_moment and volume is not None and volume.status not in (AVAILABLE, ERROR):
            timeline.record(
                tx, job.kind.name, job.id, "may be of several moments",
                f"the volume was {volume.status}, and its back end copies it: keep volumes on XFS or Btrfs",
            )  # fmt: skip
        return {"status": AVAILABLE, "progress": "100%", "fault": None}

    job.finish(kept)
    return DONE


def delete(job: Job) -> Outcome:
    """Remove it, once no volume is being made from it any more."""
    if job.runtime.database.read("snapshot.needed", _is_needed, job.id):
        return Again(WAIT_SECONDS)
    job.driver.remove_snapshot(job.id)
    job.gone(lambda tx, now: removal.forget(tx, job.runtime, now))
    return DONE


def _is_needed(tx: Transaction, snapshot_id: str) -> bool:
    return tx.first(_COPIES, {"snapshot": snapshot_id}) is not None


def failed(job: Job, reason: str) -> None:
    """It is in an error state with the reason."""
    deleting = job.task == "delete"
    columns = {"status": ERROR_DELETING if deleting else ERROR, "fault": reason}
    job.fail(reason, lambda _tx, _now: columns, Told("010", "016") if deleting else Told("009", "013"))


TASKS: dict[str, Task] = {"create": create, "delete": delete, "manage": managing.manage_snapshot}
FAILURES: dict[str, Failure] = {}
