"""The tasks `retype` and `migrate`: another type, another place; a volume moves only between back ends that one host
sees.
"""

from __future__ import annotations

from typing import Any

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.host.errors import SpecError
from stackyard.services import keys
from stackyard.services.volume.reconcile.job import Job, Superseded, Told, driver_of
from stackyard.services.volume.volumes import retype as retyping


def retype(job: Job) -> Outcome:
    """Move it to where its new type wants it, then give it the type."""
    _move(job)

    def done(tx: Transaction, now: Any) -> dict[str, Any]:
        retyping.settle(tx, job.runtime, now, done=True)
        return {"volume_type_id": job.arguments["volume_type_id"], "status": job.arguments["status"], "fault": None}

    job.finish(done)
    return DONE


def retype_failed(job: Job, reason: str) -> None:
    """It has its old type."""

    def write(tx: Transaction, now: Any) -> dict[str, Any]:
        retyping.settle(tx, job.runtime, now, done=False)
        return {"status": job.arguments["status"], "fault": reason}

    job.fail(reason, write, Told("008", "001"))


def migrate(job: Job) -> Outcome:
    """Move it."""
    _move(job)
    job.finish(lambda _tx, _now: {"migration_status": "success", "status": job.arguments["status"], "fault": None})
    return DONE


def migrate_failed(job: Job, reason: str) -> None:
    """It is where it was."""
    columns = {"migration_status": "error", "status": job.arguments["status"], "fault": reason}
    job.fail(reason, lambda _tx, _now: columns, Told("008", "001"))


def _move(job: Job) -> None:
    """Copy it to the other back end, say that it is there, then delete it here; any of it may have been done."""
    host, backend = job.arguments.get("host") or job.row.host, job.arguments.get("backend") or job.row.backend
    left = job.arguments.get("left")
    if left is None and (host, backend) == (job.row.host, job.row.backend):
        return
    if host != job.runtime[keys.HOST_NAME]:
        _hand_over(job, host, backend)
        return
    if left is None:
        target = driver_of(job.runtime, backend)
        if job.arguments["status"] != "available":
            raise GiveUp(f"Volume {job.id} is {job.arguments['status']}: detach it before it moves to {backend}.")
        with job.driver.read(job.id) as data:
            target.restore(job.id, job.row.size, data)
        left = job.row.backend
        here = {"host": host, "backend": backend, "task": {**job.row.task, "left": left}}
        job.write("moved", lambda _tx, _now: here)
    driver_of(job.runtime, left).remove(job.id)


def _hand_over(job: Job, host: str, backend: str) -> None:
    """Another host that sees the same files has only to be told."""
    if backend != job.row.backend or "shared" not in job.driver.abilities:
        raise SpecError(
            f"Volume {job.id} cannot move to host {host}: the back end {job.row.backend} is this host's own. "
            f"Make a volume there from a backup."
        )

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        reconcile.mark(tx, reconcile.kind_on(job.kind.name, host), job.id)
        return {"host": host}

    job.write("handed over", write)
    raise Superseded(job.id)  # the rest is the other host's
