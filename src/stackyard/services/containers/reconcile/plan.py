"""What to do next with a container: a pure function of what is wanted and what the engine shows.

Every step may be repeated, and the plan is made anew from what is there after any failure or crash, so that no order
of failures can do anything twice or leave anything over.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from stackyard.host.specs import ContainerObservation
from stackyard.services.containers.containers.states import Wanted

BUILD_LABEL = "zun.build"
"""Set on the engine's container to the build that it was made for."""


class Step(StrEnum):
    """One thing to do on the host."""

    REMOVE = "remove"
    FETCH_IMAGE = "fetch image"
    CREATE = "create"
    WIRE = "wire"
    LIMIT = "limit"
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    TAKE_DOWN = "take down"
    FORGET = "forget"
    LOST = "lost"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the row says, as far as a plan depends on it.

    `run` and `build` count what was asked for, `run_done` and `build_done` what has been done. `same_boot` is false
    when the host has been restarted since the container last started.
    """

    wanted: Wanted
    run: int = 0
    run_done: int = 0
    build: int = 1
    build_done: int = 0
    stop_first: bool = False
    stop_timeout: int | None = None
    limits_changed: bool = False
    wiring_changed: bool = False
    auto_heal: bool = False
    auto_remove: bool = False
    same_boot: bool = True


def plan(wish: Wish, seen: ContainerObservation | None) -> list[Step]:
    """The steps, in order; empty when all is as wanted (or nothing is)."""
    if wish.wanted is Wanted.FAILED:
        return []
    if wish.wanted is Wanted.DELETED:
        stops = seen is not None and seen.state == "running" and wish.stop_timeout is not None
        return [*([Step.STOP] if stops else []), Step.TAKE_DOWN, Step.FORGET]
    steps: list[Step] = []
    if seen is not None and seen.labels.get(BUILD_LABEL, "1") != str(wish.build):
        steps.append(Step.REMOVE)
        seen = None
    elif seen is None and wish.build_done == wish.build and not wish.auto_heal:
        # It was there, and somebody else took it away.
        return [Step.TAKE_DOWN, Step.FORGET] if wish.auto_remove else [Step.LOST]
    if seen is None:
        steps += [Step.FETCH_IMAGE, Step.CREATE, Step.WIRE]
        if wish.wanted in (Wanted.RUNNING, Wanted.PAUSED):
            steps.append(Step.START)
        return steps + ([Step.PAUSE] if wish.wanted is Wanted.PAUSED else [])
    return steps + _adjust(wish, seen)


def _adjust(wish: Wish, seen: ContainerObservation) -> list[Step]:
    """The container is there, and of the right build."""
    steps: list[Step] = [Step.LIMIT] if wish.limits_changed else []
    alive = seen.state in ("running", "paused", "restarting")
    if wish.wanted is Wanted.STOPPED:
        if seen.state == "paused":
            steps.append(Step.UNPAUSE)
        return steps + ([Step.STOP] if alive else []) + ([Step.WIRE] if wish.wiring_changed else [])
    if wish.wanted is Wanted.CREATED:
        return steps + ([Step.WIRE] if wish.wiring_changed else [])
    run_is_due = wish.run_done < wish.run
    if alive and run_is_due and wish.stop_first:
        return [*steps, *([Step.UNPAUSE] if seen.state == "paused" else []), Step.STOP, Step.WIRE, Step.START]
    if not alive:
        # What ended by itself stays ended, unless it ended because the host did.
        if run_is_due or not wish.same_boot or seen.state == "created":
            return [*steps, Step.WIRE, Step.START, *([Step.PAUSE] if wish.wanted is Wanted.PAUSED else [])]
        return steps
    if wish.wiring_changed or not wish.same_boot:
        steps.append(Step.WIRE)
    if wish.wanted is Wanted.PAUSED and seen.state == "running":
        steps.append(Step.PAUSE)
    if wish.wanted is Wanted.RUNNING and seen.state == "paused":
        steps.append(Step.UNPAUSE)
    return steps
