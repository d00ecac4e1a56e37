"""The tasks `rebuild` and `evacuate`: a server's disk made anew from its image, on its host or on another one."""

from __future__ import annotations

from stackyard.core.reconcile import DONE, Again, Outcome
from stackyard.services.compute import migrations
from stackyard.services.compute.reconcile import volumes
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.servers.states import Power, PowerState, VmState


def rebuild(job: Job) -> Outcome:
    """End the server, delete its root disk, and start it anew; one that was stopped is stopped again.

    The volume that a server boots from has its image written over it, where that was asked for.
    """
    if not job.arguments.get("reimaging"):
        _clear(job)
    if job.arguments.get("reimage") and not volumes.reimaged(job):
        return Again(volumes.LOOK_SECONDS)
    with job.event("rebuild_instance"):
        job.bring_up(task_state="rebuild_spawning", rescue=None)
        _stop_again(job)
    _built(job)
    return DONE


def _clear(job: Job) -> None:
    """No root disk any more, and no other disk either unless they are to be kept."""
    seen = job.inspect()
    if seen is None:
        return
    if seen.state in ("running", "paused", "suspended"):
        job.driver.stop(job.id, 0.0)
    job.set(task_state="rebuild_block_device_mapping")
    wanted = job.spec()
    if (wanted.ephemeral or wanted.swap) and not job.arguments.get("preserve_ephemeral"):
        job.driver.remove(job.id)
    else:
        job.driver.remove_root(job.id)


def _stop_again(job: Job) -> None:
    if _is_to_stop(job):
        job.driver.stop(job.id, 0.0)


def _is_to_stop(job: Job) -> bool:
    return bool(job.arguments.get("stop", job.server.power == Power.STOPPED))


def _built(job: Job) -> None:
    stopped = _is_to_stop(job)
    move = job.arguments.get("move")
    job.finish(
        also=None if move is None else lambda tx: migrations.update(tx, move, status="done"),
        vm_state=VmState.STOPPED if stopped else VmState.ACTIVE,
        power=Power.STOPPED if stopped else Power.RUNNING,
        power_state=int(PowerState.SHUTDOWN if stopped else PowerState.RUNNING),
        boot_id=job.boot,
        launched_at=job.runtime.database.clock.now(),
        fault=None,
        progress=100,
    )


def evacuate(job: Job) -> Outcome:
    """Make the server anew on this host, since the one that it was on is down."""
    with job.event("rebuild_instance"):
        seen = job.inspect()
        if seen is None or seen.state != "running":
            job.bring_up(task_state="rebuild_spawning", rescue=None)
        _stop_again(job)
    _built(job)
    return DONE


def rebuild_failed(job: Job, reason: str) -> None:
    """It is in ERROR, with the reason."""
    text = f"Rebuilding instance {job.id} failed: {reason} Rebuild it again when the cause is gone, or delete it."
    job.fail(text, power=Power.STOPPED if job.server.power == Power.STOPPED else Power.NONE)


def evacuate_failed(job: Job, reason: str) -> None:
    """The same, and the move has failed."""
    move = job.arguments["move"]
    text = f"Evacuating instance {job.id} failed: {reason} Rebuild it when the cause is gone, or delete it."
    job.fail(text, also=lambda tx: migrations.update(tx, move, status="failed"), power=Power.NONE)


TASKS = {"rebuild": rebuild, "evacuate": evacuate}
FAILURES = {"rebuild": rebuild_failed, "evacuate": evacuate_failed}
