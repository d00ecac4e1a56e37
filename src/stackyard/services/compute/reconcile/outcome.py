"""Writing down what came of a task: a server's columns, its action and the action's events, in one small transaction.

Nothing is written when a request has changed the server meanwhile (`version`): what is wanted now is looked at anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.core.log import request_id_var
from stackyard.services.compute.tables import instance_actions, instance_events, servers

_a, _e = instance_actions.c, instance_events.c
_BY_ID = sa.select(servers).where(servers.c.id == bindparam("key"))
_OF_HOST = sa.select(servers.c.id).where(servers.c.host == bindparam("host"), servers.c.deleted_at.is_(None))
_ACTION = (
    sa.select(_a.id)
    .where(_a.server_id == bindparam("server"), _a.request_id == bindparam("request"))
    .order_by(_a.started_at.desc())
)
_OWN_ACTION = sa.insert(instance_actions)
_FINISH_ACTION = (
    sa.update(instance_actions)
    .where(_a.id == bindparam("key"))
    .values(finished_at=bindparam("at"), updated_at=bindparam("at"), message=bindparam("text"))
)
_EVENT_AGAIN = (
    sa.update(instance_events)
    .where(_e.action_id == bindparam("action"), _e.event == bindparam("name"))
    .values(
        host=bindparam("at_host"), result=bindparam("outcome"), details=bindparam("text"),
        started_at=bindparam("began"), finished_at=bindparam("ended"),
    )
)  # fmt: skip
_EVENT = sa.insert(instance_events)
_EVENTS_FAIL = (
    sa.update(instance_events)
    .where(_e.action_id == bindparam("action"), _e.finished_at.is_(None))
    .values(result="Error", details=bindparam("text"), finished_at=bindparam("ended"))
)
_writes: dict[tuple[str, ...], sa.Update] = {}


class Superseded(Exception):
    """A newer request has changed the server: whoever works on an older one stops, and looks again."""


class Event(msgspec.Struct):
    """A step of an action, as users see it; `result` is Success or Error once it has ended."""

    name: str
    started_at: datetime
    finished_at: datetime | None = None
    result: str | None = None
    details: str | None = None


def read(tx: Transaction, server_id: str) -> Any:
    """A server's row, deleted or not; None when there is none."""
    return tx.first(_BY_ID, {"key": server_id})


def of_host(tx: Transaction, host: str) -> list[str]:
    """The ids of a host's servers."""
    return [str(row.id) for row in tx.all(_OF_HOST, {"host": host})]


def write(tx: Transaction, server: Any, columns: dict[str, Any]) -> None:
    """Change columns of a server. Raises Superseded when it is not the version that was read, unless it still has the
    task that it had then: a request for something else (a new name, a lock) does not disturb a task.
    """
    shape = tuple(sorted(columns))
    statement = _writes.get(shape)
    if statement is None:
        named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in shape} | {"updated_at": bindparam("at")}
        mine = sa.and_(servers.c.id == bindparam("key"), servers.c.version == bindparam("read_version"))
        statement = _writes[shape] = sa.update(servers).where(mine).values(named)
    values = {f"new_{name}": value for name, value in columns.items()} | {"key": server.id, "at": tx.now}
    if tx.execute(statement, values | {"read_version": server.version}).rowcount:
        return
    row = read(tx, server.id)
    if row is None or server.task is None or (row.task, row.task_request_id) != (server.task, server.task_request_id):
        raise Superseded(server.id)
    server.version = row.version
    tx.execute(statement, values | {"read_version": server.version})


def write_events(tx: Transaction, server: Any, events: list[Event]) -> None:
    """Add these steps to the action of the server's task, or bring them up to date."""
    action_id = _action(tx, server) if events else None
    if action_id is None:
        return
    for event in events:
        told = {"began": event.started_at, "ended": event.finished_at, "at_host": server.host}
        told |= {"outcome": event.result, "text": event.details, "action": action_id, "name": event.name}
        if tx.execute(_EVENT_AGAIN, told).rowcount == 0:
            row = {
                "id": ids.new_uuid(), "action_id": action_id, "event": event.name, "host": server.host,
                "result": event.result, "details": event.details, "started_at": event.started_at,
                "finished_at": event.finished_at,
            }  # fmt: skip
            tx.execute(_EVENT, row)


def finish_action(tx: Transaction, server: Any, error: str | None = None) -> None:
    """The action of the server's task has ended, and failed when there is an error, with the steps that had begun."""
    action_id = _action(tx, server)
    if action_id is None:
        return
    if error is not None:
        tx.execute(_EVENTS_FAIL, {"action": action_id, "text": error, "ended": tx.now})
    tx.execute(_FINISH_ACTION, {"key": action_id, "at": tx.now, "text": None if error is None else "Error"})


def finish_one(tx: Transaction, server: Any, action_id: str, step: str, error: str | None = None) -> None:
    """One action of a server has ended that is not its task's, with its only step."""
    row = {
        "id": ids.new_uuid(), "action_id": action_id, "event": step, "host": server.host,
        "result": "Success" if error is None else "Error", "details": error, "started_at": tx.now,
        "finished_at": tx.now,
    }  # fmt: skip
    tx.execute(_EVENT, row)
    tx.execute(_FINISH_ACTION, {"key": action_id, "at": tx.now, "text": None if error is None else "Error"})


def record_own(tx: Transaction, server: Any, action: str, *, for_owner: bool = False) -> str:
    """Write an action down that nobody asked for: it was seen, and is done; its id.

    `for_owner`: what it follows from was the owner's doing, elsewhere.
    """
    action_id = ids.new_uuid()
    row = {
        "id": action_id, "server_id": server.id, "request_id": request_id_var.get() or ids.new_request_id(),
        "action": action, "message": None,
        "user_id": server.user_id if for_owner else None, "project_id": server.project_id if for_owner else None,
        "started_at": tx.now, "updated_at": tx.now, "finished_at": tx.now,
    }  # fmt: skip
    tx.execute(_OWN_ACTION, row)
    return action_id


def _action(tx: Transaction, server: Any) -> str | None:
    if server.task_request_id is None:
        return None
    found = tx.scalar(_ACTION, {"server": server.id, "request": server.task_request_id})
    return None if found is None else str(found)


def fault(message: str, at: datetime, code: int = 500) -> dict[str, Any]:
    """What `servers.fault` holds."""
    return {"code": code, "message": message, "created": at.isoformat()[:19] + "Z", "details": ""}
