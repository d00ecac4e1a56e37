"""The tasks that start, stop, reboot, pause and suspend servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.host.errors import ConflictError, NotFoundError, SpecError
from stackyard.services.compute.reconcile.job import POWER_STATES, Job
from stackyard.services.compute.reconcile.plan import LOST
from stackyard.services.compute.servers.states import Power, PowerState, VmState

STOP_TIMEOUT = 60.0
"""Seconds that a server's system has to end, as Nova's shutdown_timeout; an image's os_shutdown_timeout replaces it."""

SHORTEST, LONGEST = 0.0, 3600.0


def stop_timeout(job: Job) -> float:
    """Seconds that the server's system has to end by itself."""
    asked = (job.server.image.get("properties") or {}).get("os_shutdown_timeout")
    try:
        return min(LONGEST, max(SHORTEST, float(asked))) if asked is not None else STOP_TIMEOUT
    except ValueError:
        return STOP_TIMEOUT


def start(job: Job) -> Outcome:
    """Start it; one that somebody removed from the host is made anew."""
    with job.event("start_instance"):
        seen = job.inspect()
        if seen is None or seen.state not in ("running", "paused"):
            job.bring_up()
        elif seen.state == "paused":
            job.driver.unpause(job.id)
    _runs(job)
    return DONE


def _runs(job: Job) -> None:
    job.finish(
        vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(PowerState.RUNNING), boot_id=job.boot,
        launched_at=job.server.launched_at or job.runtime.database.clock.now(), fault=None,
    )  # fmt: skip


def stop(job: Job) -> Outcome:
    """Have it end, by force after a while."""
    with job.event("stop_instance"):
        seen = job.inspect()
        if seen is None:
            raise GiveUp(LOST)
        if seen.state == "paused":
            job.driver.unpause(job.id)
        if seen.state in ("running", "paused", "suspended"):
            job.end(stop_timeout(job))
    job.finish(vm_state=VmState.STOPPED, power=Power.STOPPED, power_state=int(PowerState.SHUTDOWN))
    return DONE


def reboot(job: Job) -> Outcome:
    """Restart it: by its own system when it can (`hard` false), else by stopping and starting it."""
    with job.event("reboot_instance"):
        seen = job.inspect()
        hard = bool(job.arguments.get("hard")) or seen is None or seen.state != "running"
        if not hard:
            try:
                job.driver.reboot(job.id)
            except (ConflictError, SpecError):
                hard = True
        if hard:
            job.set(task_state="reboot_started_hard" if job.arguments.get("hard") else "reboot_started")
            if seen is not None and seen.state != "defined":
                job.driver.stop(job.id, 0.0)
            job.bring_up()
    _runs(job)
    return DONE


@contextmanager
def _now_or_never() -> Iterator[None]:
    """What a server's state does not allow now is not tried again for minutes."""
    try:
        yield
    except (ConflictError, NotFoundError) as error:
        raise GiveUp(str(error)) from error


def pause(job: Job) -> Outcome:
    """Freeze it."""
    with job.event("pause_instance"), _now_or_never():
        job.driver.pause(job.id)
    job.finish(vm_state=VmState.PAUSED, power=Power.PAUSED, power_state=int(PowerState.PAUSED))
    return DONE


def unpause(job: Job) -> Outcome:
    """Let it go on."""
    with job.event("unpause_instance"), _now_or_never():
        job.driver.unpause(job.id)
    job.finish(vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(PowerState.RUNNING))
    return DONE


def suspend(job: Job) -> Outcome:
    """Write its memory to disk, and end it."""
    with job.event("suspend_instance"), _now_or_never():
        job.driver.suspend(job.id)
    job.finish(vm_state=VmState.SUSPENDED, power=Power.SUSPENDED, power_state=int(PowerState.SHUTDOWN))
    return DONE


def resume(job: Job) -> Outcome:
    """Have it go on where it was."""
    with job.event("resume_instance"):
        seen = job.inspect()
        if seen is None or seen.state != "running":
            job.bring_up()
    job.finish(vm_state=VmState.ACTIVE, power=Power.RUNNING, power_state=int(PowerState.RUNNING), boot_id=job.boot)
    return DONE


def restore(job: Job) -> Outcome:
    """Bring back a server that was deleted softly: it is started."""
    with job.event("restore_instance"):
        seen = job.inspect()
        if seen is None or seen.state != "running":
            job.bring_up()
    _runs(job)
    return DONE


def _left_as_it_was(job: Job, reason: str) -> None:
    """What could not be done leaves the server as it is now; the action says that it failed."""
    seen = job.inspect()
    text = f"The task {job.task} of instance {job.id} failed: {reason}"
    if seen is None:
        job.fail(text)
        return
    vm_state, power = {
        "running": (VmState.ACTIVE, Power.RUNNING),
        "paused": (VmState.PAUSED, Power.PAUSED),
        "suspended": (VmState.SUSPENDED, Power.SUSPENDED),
    }.get(seen.state, (VmState.STOPPED, Power.STOPPED))
    job.fail(text, vm_state=vm_state, power=power, power_state=int(POWER_STATES[seen.state]))


TASKS: dict[str, Callable[[Job], Outcome]] = {
    "start": start,
    "stop": stop,
    "reboot": reboot,
    "pause": pause,
    "unpause": unpause,
    "suspend": suspend,
    "resume": resume,
    "restore": restore,
}
FAILURES: dict[str, Callable[[Job, str], None]] = {
    "pause": _left_as_it_was,
    "unpause": _left_as_it_was,
    "suspend": _left_as_it_was,
}
