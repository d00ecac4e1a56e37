"""The tasks `build` and `delete`: a server's beginning and its end."""

from __future__ import annotations

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Outcome
from stackyard.services import keys
from stackyard.services.compute.reconcile import outcome, volumes
from stackyard.services.compute.reconcile.job import POWER_STATES, Job
from stackyard.services.compute.servers import removal
from stackyard.services.compute.servers.states import Power, PowerState, VmState
from stackyard.services.compute.servers.tasks import KIND


def build(job: Job) -> Outcome:
    """Make the server and start it. One that has run already, before a crash of ours, is taken as it is."""
    waiting = volumes.prepare(job)
    if waiting != DONE:
        return waiting
    with job.event("_do_build_instance"):
        seen = job.inspect()
        if seen is None or seen.state == "defined":
            job.bring_up(task_state="spawning")
        state = PowerState.RUNNING if seen is None or seen.state == "defined" else POWER_STATES[seen.state]
    job.finish(
        also=lambda tx: volumes.complete(tx, job),
        vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(state), boot_id=job.boot,
        launched_at=job.runtime.database.clock.now(), progress=100,
    )  # fmt: skip
    return DONE


def build_failed(job: Job, reason: str) -> None:
    """What was made of it goes; its ports stay its own, wired nowhere, until it is deleted or rebuilt."""
    if job.server.kind in job.runtime[keys.MACHINES]:
        job.driver.remove(job.id)
        volumes.release_mounts(job)
    text = f"Build of instance {job.id} failed: {reason} Delete the server, or rebuild it when the cause is gone."
    job.fail(text, power=Power.NONE, power_state=int(PowerState.NOSTATE))


def delete(job: Job) -> Outcome:
    """End the server, and give back all that it has taken of the cloud."""
    with job.event("terminate_instance"):
        if job.server.kind in job.runtime[keys.MACHINES]:
            job.driver.remove(job.id)
            volumes.release_mounts(job)

    def forget(tx: Transaction) -> None:
        outcome.finish_action(tx, job.server)
        removal.forget(tx, job.runtime, outcome.read(tx, job.id))
        timeline.record(tx, KIND, job.id, "deleted")

    job.write("forget", lambda _tx: {"task": None, "task_state": None}, last=forget)
    return DONE


def delete_failed(job: Job, reason: str) -> None:
    """It is in ERROR with the reason, and may be deleted again."""
    job.fail(f"Deleting instance {job.id} failed: {reason} Delete it again when the cause is gone.")


TASKS = {"build": build, "delete": delete}
FAILURES = {"build": build_failed, "delete": delete_failed}
