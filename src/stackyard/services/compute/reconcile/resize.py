"""The tasks `resize` and `revert_resize`: a server is stopped, made as another flavor says, and started again.

On its host, or on another one: then each host does its half, and the one that the server leaves hands the task over.
A cold migration is a resize to the flavor that the server has already.
"""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Outcome
from stackyard.services.compute import migrations, zones
from stackyard.services.compute.reconcile import migrating
from stackyard.services.compute.reconcile.job import POWER_STATES, Job
from stackyard.services.compute.reconcile.power import stop_timeout
from stackyard.services.compute.servers import resize as operations
from stackyard.services.compute.servers.states import Power, PowerState, VmState


def resize(job: Job) -> Outcome:
    """Give it the new flavor; the former one is kept beside it until that is confirmed."""
    move, flavor, row = job.arguments["move"], job.arguments["flavor"], migrating.read(job)
    elsewhere = migrating.is_elsewhere(row)
    if job.server.old_flavor is None:
        with job.event("resize_instance"):
            job.write("resize begins", lambda tx: _tell(tx, move, "migrating", task_state="resize_migrating"))
            _stop(job)
        columns = {"flavor": flavor, "flavor_id": flavor["flavorid"], "old_flavor": job.server.flavor}
        columns["task_state"] = "resize_migrated" if elsewhere else "resize_finish"
        job.write("resized", lambda tx: _tell(tx, move, "post-migrating", **columns))
    if elsewhere and migrating.is_at(job, row.source_compute):
        return migrating.hand_over(job, row.dest_compute)
    with job.event("finish_resize"):
        if elsewhere:
            job.set(task_state="resize_finish")
            migrating.arrive(job, row)
        _bring_back(job)
    job.finish(also=lambda tx: migrations.update(tx, move, status="finished"), vm_state=VmState.RESIZED, **_seen(job))
    return DONE


def _tell(tx: Transaction, move: str, status: str, **columns: Any) -> dict[str, Any]:
    migrations.update(tx, move, status=status)
    return columns


def _stop(job: Job) -> None:
    seen = job.inspect()
    if seen is not None and seen.state in ("running", "paused", "suspended"):
        job.end(stop_timeout(job))


def _bring_back(job: Job) -> None:
    """Have the host run what the row says now; a server that is to be stopped is only made so."""
    if job.server.power != Power.STOPPED:
        seen = job.inspect()
        if seen is not None and seen.state == "running":
            return
        job.bring_up()
        return
    job.wire()
    wanted = job.spec()
    job.images(wanted)
    job.driver.define(wanted)


def _seen(job: Job) -> dict[str, Any]:
    seen = job.inspect()
    state = PowerState.NOSTATE if seen is None else POWER_STATES[seen.state]
    return {"power_state": int(state), "boot_id": job.boot, "launched_at": job.runtime.database.clock.now()}


def revert(job: Job) -> Outcome:
    """Go back to the former flavor. A disk that has grown keeps its size: none is ever cut off."""
    flavor, row = job.arguments["flavor"], migrating.read(job)
    if job.server.old_flavor is not None:
        with job.event("revert_resize"):
            _stop(job)
        job.set(flavor=flavor, flavor_id=flavor["flavorid"], old_flavor=None)
    if migrating.is_elsewhere(row) and migrating.is_at(job, row.dest_compute):
        migrating.give_up(job)
        return migrating.hand_over(job, row.source_compute)
    with job.event("finish_revert_resize"):
        _bring_back(job)
    stopped = job.server.power == Power.STOPPED
    vm_state = VmState.STOPPED if stopped else VmState.ACTIVE
    job.finish(also=lambda tx: _undo(tx, job, "reverted"), vm_state=vm_state, **_seen(job))
    return DONE


def _undo(tx: Transaction, job: Job, status: str) -> None:
    move = migrations.find(tx, job.arguments["move"])
    if move is not None and move.status in operations.OPEN:
        operations.undo(tx, job.runtime, job.server, move, status=status)


def resize_failed(job: Job, reason: str) -> None:
    """It is in ERROR, and has the flavor that it had before: a hard reboot starts it as it was."""
    former: dict[str, Any] = job.server.old_flavor or job.server.flavor
    text = f"Resizing instance {job.id} failed: {reason} It has its former flavor; reboot it (hard) to start it."
    columns = {"flavor": former, "flavor_id": former["flavorid"], "old_flavor": None}
    job.fail(text, also=lambda tx: _undo(tx, job, "error"), **columns, **_back_home(job))


def _back_home(job: Job) -> dict[str, Any]:
    """Where a server is that did not come through to another host: where it was, with its disks as they were."""
    row = migrating.read(job)
    if not migrating.is_elsewhere(row) or migrating.is_at(job, row.source_compute):
        return {}
    migrating.give_up(job)
    zone = job.runtime.database.read("server.zone", zones.zone_of, job.runtime, row.source_compute)
    return {"host": row.source_compute, "zone": zone}


def revert_failed(job: Job, reason: str) -> None:
    """The same, after a revert."""
    flavor = job.arguments["flavor"]
    text = f"Reverting the resize of instance {job.id} failed: {reason} Reboot it (hard) to start it."
    columns = {"flavor": flavor, "flavor_id": flavor["flavorid"], "old_flavor": None}
    job.fail(text, also=lambda tx: _undo(tx, job, "error"), **columns)


TASKS = {"resize": resize, "revert_resize": revert}
FAILURES = {"resize": resize_failed, "revert_resize": revert_failed}
