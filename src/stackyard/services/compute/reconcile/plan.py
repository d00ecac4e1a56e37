"""What to do with a server that has no task: a pure function of what is wanted, what is written, what the host shows.

What a server did by itself is taken on (it shut down: it is stopped), as Nova's comparison of power states does; what
happened to it because its host was restarted is undone; what is gone is said to be gone, never made anew unasked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from stackyard.services.compute.servers.states import Power, PowerState, VmState


class Step(StrEnum):
    """One thing to do on the host."""

    BRING_UP = "wire, define and start"
    STOP = "stop"
    PAUSE = "pause"
    SUSPEND = "suspend"
    REMOVE = "remove"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the row says. `same_boot` is false when the host was restarted since the server was last started."""

    vm_state: str
    power: str
    power_state: int
    same_boot: bool = True


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Steps to take, in order, or else columns that are to be written; `lost` when the host has no such server."""

    steps: tuple[Step, ...] = ()
    columns: dict[str, Any] = {}
    lost: bool = False


LOST = (
    "The host has no such server any more: something outside of this cloud removed it. "
    "Start, reboot (hard) or rebuild it to make it anew, or delete it."
)

_POWER_STATES = {
    None: PowerState.NOSTATE,
    "running": PowerState.RUNNING,
    "paused": PowerState.PAUSED,
    "crashed": PowerState.CRASHED,
}
_ENDED = ("stopped", "crashed", "defined")
_NOWHERE = frozenset({VmState.DELETED, VmState.SHELVED_OFFLOADED})
_ALIVE = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED})
_OFF = frozenset({VmState.STOPPED, VmState.SHELVED, VmState.SOFT_DELETED})


def plan(wish: Wish, seen: str | None) -> Decision:
    """What to do next; `seen` is the state that the host shows, None when it has no such server."""
    if wish.vm_state == VmState.BUILDING:
        return Decision()
    if wish.vm_state in _NOWHERE:
        return Decision(steps=(Step.REMOVE,)) if seen is not None else _observed(wish, seen)
    if wish.vm_state == VmState.ERROR:
        return _observed(wish, seen)
    if seen is None:
        return Decision(lost=True)
    if wish.vm_state in _OFF:
        return Decision(steps=(Step.STOP,)) if seen in ("running", "paused") else _observed(wish, seen)
    if wish.vm_state == VmState.SUSPENDED:
        return Decision(steps=(Step.SUSPEND,)) if seen == "running" else _observed(wish, seen)
    return _alive(wish, seen)


def _alive(wish: Wish, seen: str) -> Decision:
    """Active, paused, rescued, or resized and not confirmed yet."""
    if seen in _ENDED and wish.power in (Power.RUNNING, Power.PAUSED):
        if not wish.same_boot or seen == "defined":
            return Decision(steps=(Step.BRING_UP,))
        if wish.vm_state in (VmState.ACTIVE, VmState.PAUSED):
            return _observed(wish, seen, vm_state=VmState.STOPPED, power=Power.STOPPED)
    if seen == "suspended" and wish.vm_state in (VmState.ACTIVE, VmState.PAUSED):
        return _observed(wish, seen, vm_state=VmState.SUSPENDED, power=Power.SUSPENDED)
    if wish.vm_state == VmState.PAUSED and seen == "running":
        return Decision(steps=(Step.PAUSE,))
    return _observed(wish, seen)


def _observed(wish: Wish, seen: str | None, **columns: Any) -> Decision:
    power_state = _POWER_STATES.get(seen, PowerState.SHUTDOWN)
    if power_state != wish.power_state:
        columns["power_state"] = int(power_state)
    return Decision(columns=columns)
