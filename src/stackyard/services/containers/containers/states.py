"""A container's states, and which actions each allows, as Zun has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from stackyard.core.errors import Conflict


class Status(StrEnum):
    """What `status` may say."""

    ERROR = "Error"
    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    UNKNOWN = "Unknown"
    CREATING = "Creating"
    CREATED = "Created"
    DELETED = "Deleted"
    DELETING = "Deleting"
    REBUILDING = "Rebuilding"
    DEAD = "Dead"
    RESTARTING = "Restarting"


class Wanted(StrEnum):
    """What the reconciler is to bring about. FAILED asks for nothing: it waits for the next request of a user."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    DELETED = "deleted"
    FAILED = "failed"


_S = Status
_THERE = frozenset({_S.CREATED, _S.RUNNING, _S.STOPPED, _S.PAUSED})
_RUNS = frozenset({_S.RUNNING})
_RESTARTABLE = frozenset({_S.CREATED, _S.RUNNING, _S.STOPPED, _S.ERROR})

ALLOWED: dict[str, frozenset[Status]] = {
    "commit": frozenset({_S.RUNNING, _S.STOPPED, _S.PAUSED}),
    "delete": frozenset({_S.CREATED, _S.ERROR, _S.STOPPED, _S.DELETED, _S.DEAD}),
    "delete_force": frozenset(_S) - {_S.PAUSED},
    "delete_after_stop": frozenset({_S.RUNNING, _S.RESTARTING, _S.CREATED, _S.ERROR, _S.STOPPED, _S.DELETED, _S.DEAD}),
    "start": frozenset({_S.CREATED, _S.STOPPED, _S.ERROR}),
    # Zun allows only Running; what its restart policy starts again and again could then never be stopped.
    "stop": frozenset({_S.RUNNING, _S.RESTARTING}),
    "reboot": _RESTARTABLE,
    "rebuild": _RESTARTABLE,
    "pause": _RUNS,
    "unpause": frozenset({_S.PAUSED}),
    "kill": _RUNS,
    "execute": _RUNS,
    "execute_resize": _RUNS,
    "update": _THERE,
    "attach": _RUNS,
    "resize": _RUNS,
    "top": _RUNS,
    "get_archive": _THERE,
    "put_archive": _THERE,
    "logs": _THERE | {_S.ERROR, _S.UNKNOWN, _S.RESTARTING},
    "stats": _RUNS,
    "add_security_group": _THERE,
    "remove_security_group": _THERE,
    "resize_container": _THERE,
    "network_attach": _THERE,
    "network_detach": _THERE,
}


def require(row: Any, action: str) -> None:
    """Raise Conflict unless the container's state allows `action`."""
    if row.status not in ALLOWED[action]:
        doing = f" (task: {row.task_state})" if row.task_state else ""
        raise Conflict(
            f"Cannot {action} container {row.uuid} in {row.status} state{doing}. "
            f"It must be {', '.join(sorted(ALLOWED[action]))}.",
            kind="InvalidStateException",
        )
