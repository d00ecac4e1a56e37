"""The tasks `rescue` and `unrescue`: which disk a server runs from."""

from __future__ import annotations

from stackyard.core.reconcile import DONE, Outcome
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.reconcile.power import stop_timeout
from stackyard.services.compute.servers.states import Power, PowerState, VmState

_ALIVE = ("running", "paused", "suspended")


def rescue(job: Job) -> Outcome:
    """End the server, and start it from the rescue image."""
    with job.event("rescue_instance"):
        seen = job.inspect()
        if seen is None or not (seen.rescued and seen.state == "running"):
            if seen is not None and seen.state in _ALIVE:
                job.end(stop_timeout(job))
            job.bring_up(rescue=job.arguments["rescue"])
    job.finish(
        vm_state=VmState.RESCUED, power=Power.RUNNING, power_state=int(PowerState.RUNNING), boot_id=job.boot,
        launched_at=job.runtime.database.clock.now(), rescue=job.arguments["rescue"],
    )  # fmt: skip
    return DONE


def unrescue(job: Job) -> Outcome:
    """End it, and start it from its own disk."""
    with job.event("unrescue_instance"):
        _from_own_disk(job)
    job.finish(
        vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(PowerState.RUNNING), boot_id=job.boot, rescue=None
    )
    return DONE


def _from_own_disk(job: Job) -> None:
    seen = job.inspect()
    if seen is not None and seen.rescued and seen.state in _ALIVE:
        job.driver.stop(job.id, 0.0)
    if seen is None or seen.rescued or seen.state != "running":
        job.bring_up(rescue=None)


def rescue_failed(job: Job, reason: str) -> None:
    """It runs from its own disk again, if it did before; what cannot be brought back is in ERROR."""
    text = f"Instance {job.id} cannot be rescued: {reason}"
    if job.server.vm_state != VmState.ACTIVE:
        job.fail(text, vm_state=job.server.vm_state, rescue=None, fault=job.server.fault)
        return
    _from_own_disk(job)
    job.fail(
        text, vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(PowerState.RUNNING), boot_id=job.boot,
        rescue=None,
    )  # fmt: skip


TASKS = {"rescue": rescue, "unrescue": unrescue}
FAILURES = {"rescue": rescue_failed}
