"""Beginning an operation on a server: one at a time, written down with its arguments, so that a crash loses nothing.

The reconciler of the server's host finds it in the row (`task`) and carries it out (see reconcile/).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict
from stackyard.services import keys
from stackyard.services.compute.tables import instance_actions, servers

KIND = "server"

_ACTION = sa.insert(instance_actions)
_updates: dict[tuple[str, ...], sa.Update] = {}


def update(tx: Transaction, server_id: str, **values: Any) -> None:
    """What a request changes of a server; no reconciler writes the outcome of an older wish from now on."""
    shape = tuple(sorted(values))
    statement = _updates.get(shape)
    if statement is None:
        named: dict[str, sa.ColumnElement[Any]] = {name: bindparam(f"new_{name}") for name in shape}
        named |= {"version": servers.c.version + 1, "updated_at": bindparam("at")}
        statement = _updates[shape] = sa.update(servers).where(servers.c.id == bindparam("key")).values(named)
    tx.execute(statement, {"key": server_id, "at": tx.now, **{f"new_{name}": value for name, value in values.items()}})


def require_unlocked(call: Call, server: Any, action: str) -> None:
    """Raise Conflict (InstanceIsLocked) when the server is locked and the caller may not override it."""
    if server.locked and not call.allows("os_compute_api:os-lock-server:unlock:unlock_override"):
        raise Conflict(f"Instance {server.id} is locked", kind="InstanceIsLocked")
    del action


def record(
    tx: Transaction, call: Call, server: Any, action: str, *, finished: bool = False, message: str | None = None
) -> str:
    """Write an instance action down; its id. `finished` for what is done within the request, `message` Error then when
    it failed.
    """
    action_id = ids.new_uuid()
    row = {
        "id": action_id, "server_id": server.id, "request_id": call.request_id, "action": action,
        "user_id": call.caller.user_id, "project_id": call.caller.project_id, "message": message,
        "started_at": tx.now, "updated_at": tx.now, "finished_at": tx.now if finished else None,
    }  # fmt: skip
    tx.execute(_ACTION, row)
    timeline.record(tx, KIND, server.id, f"{action} asked")
    return action_id


def begin(
    tx: Transaction, call: Call, server: Any, action: str, *, name: str, task_state: str, **arguments: Any
) -> None:
    """Have the server's host do the task `name` with these arguments; Nova's name of the action is shown to users.

    The caller has checked states and the lock already. Other columns are changed with `update`.
    """
    record(tx, call, server, action)
    task = {"name": name, **arguments}
    update(tx, server.id, task=task, task_state=task_state, task_request_id=call.request_id)
    mark(tx, server.id, server.host or call.runtime[keys.HOST_NAME])


def mark(tx: Transaction, server_id: str, host: str, *, delay: float = 0.0) -> None:
    """Have the host look at the server."""
    reconcile.mark(tx, reconcile.kind_on(KIND, host), server_id, delay=delay)
