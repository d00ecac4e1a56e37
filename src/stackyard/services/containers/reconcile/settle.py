"""What to write of a container once its steps are done: a pure function of the wish and the last look at the engine."""

from __future__ import annotations

from typing import Any

import msgspec

from stackyard.host.specs import ContainerObservation
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.reconcile.plan import Wish

_STATUS = {
    "running": Status.RUNNING,
    "paused": Status.PAUSED,
    "restarting": Status.RESTARTING,
    "dead": Status.DEAD,
    "exited": Status.STOPPED,
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the row becomes. `again_in` seconds when another look is needed without anybody asking."""

    status: Status
    wanted: Wanted
    reason: str | None = None
    again_in: float | None = None


def settle(wish: Wish, seen: ContainerObservation) -> Outcome:
    """The state that users see, and what is wanted from now on."""
    found = _STATUS.get(seen.state)
    if seen.state == "created":
        return Outcome(status=Status.CREATED, wanted=Wanted.CREATED)
    if found is None:
        return Outcome(status=Status.UNKNOWN, wanted=wish.wanted, reason=f"The engine says {seen.state!r}.")
    reason = _reason(seen) if found in (Status.STOPPED, Status.DEAD) else None
    if found is Status.STOPPED:
        by_itself = wish.wanted in (Wanted.RUNNING, Wanted.PAUSED)
        if by_itself and wish.auto_remove:
            return Outcome(status=Status.DELETING, wanted=Wanted.DELETED, reason=reason)
        return Outcome(status=found, wanted=Wanted.STOPPED, reason=reason if by_itself else None)
    if found is Status.RUNNING:
        return Outcome(status=found, wanted=Wanted.RUNNING)
    if found is Status.PAUSED:
        return Outcome(status=found, wanted=Wanted.PAUSED)
    if found is Status.RESTARTING:
        return Outcome(status=found, wanted=wish.wanted, again_in=2.0)
    return Outcome(status=found, wanted=wish.wanted, reason=reason)


def _reason(seen: ContainerObservation) -> str | None:
    if seen.oom_killed:
        return f"It was killed for using more than its memory limit (exit code {seen.exit_code})."
    if seen.error:
        return seen.error
    return f"Its process ended with exit code {seen.exit_code}." if seen.exit_code else None


def facts(seen: ContainerObservation) -> dict[str, Any]:
    """What is kept of an observation for views to show."""
    return {
        "state": seen.state,
        "started_at": seen.started_at,
        "finished_at": seen.finished_at,
        "exit_code": seen.exit_code,
        "error": bool(seen.error),
        "health": seen.health,
        "command": list(seen.command),
        "entrypoint": list(seen.entrypoint),
        "ports": sorted({int(port.partition("/")[0]) for port in seen.ports if port.partition("/")[0].isdigit()}),
    }
