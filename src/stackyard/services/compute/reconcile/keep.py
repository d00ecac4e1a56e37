"""Keeping a server that has no task as it shall be: look, plan, act, and write what was seen."""

from __future__ import annotations

from collections.abc import Callable

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome
from stackyard.host.errors import EngineUnavailableError
from stackyard.services import keys
from stackyard.services.compute.reconcile import interfaces, outcome, volumes
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.reconcile.plan import LOST, Decision, Step, Wish, plan
from stackyard.services.compute.reconcile.power import stop_timeout
from stackyard.services.compute.servers.states import Power, PowerState, VmState
from stackyard.services.compute.servers.tasks import KIND

AWAY_SECONDS = 2.0
LOOKS = 5
"""Steps are followed by another look, at most so often; then by a pause."""


def _bring_up(job: Job) -> None:
    job.bring_up()
    job.set(boot_id=job.boot)


_STEPS: dict[Step, Callable[[Job], None]] = {
    Step.BRING_UP: _bring_up,
    Step.STOP: lambda job: job.end(stop_timeout(job)),
    Step.PAUSE: lambda job: job.driver.pause(job.id),
    Step.SUSPEND: lambda job: job.driver.suspend(job.id),
    Step.REMOVE: lambda job: job.driver.remove(job.id),
}


def keep(job: Job) -> Outcome:
    """Bring the server to its `power`, and its row to what is."""
    if job.server.kind not in job.runtime[keys.MACHINES]:
        return DONE
    try:
        return _keep(job)
    except EngineUnavailableError:
        return Again(AWAY_SECONDS)  # it says nothing of the server; so it is waited for, for as long as it takes


def _keep(job: Job) -> Outcome:
    for _ in range(LOOKS):
        seen = job.inspect()
        decision = plan(_wish(job), None if seen is None else seen.state)
        if not decision.steps:
            cards = interfaces.settle(job, seen)
            disks = volumes.settle(job, seen)
            _write(job, decision, "" if seen is None else seen.error)
            return disks if disks != DONE else cards
        for step in decision.steps:
            _STEPS[step](job)
    return Again(1.0)


def _wish(job: Job) -> Wish:
    server = job.server
    return Wish(
        vm_state=server.vm_state,
        power=server.power,
        power_state=server.power_state,
        same_boot=server.boot_id in (None, job.boot),
    )


def _write(job: Job, decision: Decision, error: str) -> None:
    if decision.lost:
        job.fail(LOST, power=Power.NONE, power_state=int(PowerState.NOSTATE))
    elif decision.columns:

        def change(tx: Transaction) -> dict[str, object]:
            state = decision.columns.get("vm_state")
            if state == VmState.STOPPED:
                outcome.record_own(tx, job.server, "stop")
            if state is not None:
                timeline.record(tx, KIND, job.id, f"{state} by itself", error)
            return decision.columns

        job.write("observed", change)
