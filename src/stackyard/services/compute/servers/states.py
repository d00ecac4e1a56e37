"""A server's states in Nova's words, the status that they show, and which of them an operation wants."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Any

from stackyard.core.errors import Conflict


class VmState(StrEnum):
    """What a server is when nothing is under way."""

    ACTIVE = "active"
    BUILDING = "building"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class PowerState(IntEnum):
    """What the host sees."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Power(StrEnum):
    """What a server without a task shall be."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    NONE = "none"


_S = VmState
_STATUS: dict[str, dict[str | None, str]] = {
    _S.ACTIVE: {
        None: "ACTIVE",
        "rebooting": "REBOOT",
        "reboot_pending": "REBOOT",
        "reboot_started": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "reboot_pending_hard": "HARD_REBOOT",
        "reboot_started_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD",
        "rebuilding": "REBUILD",
        "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD",
        "migrating": "MIGRATING",
        "resize_prep": "RESIZE",
        "resize_migrating": "RESIZE",
        "resize_migrated": "RESIZE",
        "resize_finish": "RESIZE",
    },
    _S.BUILDING: {None: "BUILD"},
    _S.STOPPED: {
        None: "SHUTOFF",
        "resize_prep": "RESIZE",
        "resize_migrating": "RESIZE",
        "resize_migrated": "RESIZE",
        "resize_finish": "RESIZE",
        "rebuilding": "REBUILD",
        "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD",
    },
    _S.RESIZED: {None: "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
    _S.PAUSED: {None: "PAUSED", "migrating": "MIGRATING"},
    _S.SUSPENDED: {None: "SUSPENDED"},
    _S.RESCUED: {None: "RESCUE"},
    _S.ERROR: {
        None: "ERROR",
        "rebuilding": "REBUILD",
        "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD",
    },
    _S.DELETED: {None: "DELETED"},
    _S.SOFT_DELETED: {None: "SOFT_DELETED"},
    _S.SHELVED: {None: "SHELVED"},
    _S.SHELVED_OFFLOADED: {None: "SHELVED_OFFLOADED"},
}


def status(vm_state: str, task_state: str | None) -> str:
    """What `status` of the API says."""
    words = _STATUS.get(vm_state, {None: "UNKNOWN"})
    return words.get(task_state) or words[None]


def vm_states(wanted: str) -> dict[str, set[str | None] | None]:
    """From a status to the vm_states that may show it, each with the task_states that make it so.

    None instead of a set: any task_state that makes no other status. Empty for a status that does not exist.
    """
    found: dict[str, set[str | None] | None] = {}
    for vm_state, words in _STATUS.items():
        tasks = {task for task, word in words.items() if word == wanted.upper()}
        if tasks:
            found[vm_state] = None if None in tasks else tasks
    return found


def other_tasks(vm_state: str) -> set[str]:
    """The task_states with which a vm_state shows another status than its own."""
    return {task for task in _STATUS[vm_state] if task is not None}


def require(server: Any, action: str, states: Iterable[str], *, tasks: Iterable[str | None] | None = (None,)) -> None:
    """Raise Conflict (InstanceInvalidState) unless the server is in one of the states, with one of the tasks.

    `tasks` None: with any.
    """
    for attribute, value, allowed in (("vm_state", server.vm_state, states), ("task_state", server.task_state, tasks)):
        if allowed is not None and value not in set(allowed):
            raise Conflict(
                f"Cannot '{action}' instance {server.id} while it is in {attribute} {value}",
                kind="InstanceInvalidState",
            )


def require_launched(server: Any, action: str) -> None:
    """Raise Conflict (InstanceInvalidState) for a server that has never run."""
    if server.launched_at is None:
        raise Conflict(f"Instance {server.id} is in an invalid state for '{action}'", kind="InstanceInvalidState")
