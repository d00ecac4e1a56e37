"""What was asked of each container, when it ended and how: `container_actions` of the API.

An action begins in the transaction that asks for it and ends in the one in which the reconciler writes the outcome.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.clock import iso_offset
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.errors import NotFound

actions = sa.Table(
    "container_actions",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("container_uuid", sa.String(36), nullable=False, index=True),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=True),
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("start_time", Moment, nullable=False),
    sa.Column("finish_time", Moment, nullable=True),
    sa.Column("message", sa.Text, nullable=True),
)

_INSERT = sa.insert(actions)
_FINISH = (
    sa.update(actions)
    .where(actions.c.container_uuid == bindparam("uuid"), actions.c.finish_time.is_(None))
    .values(finish_time=bindparam("at", type_=Moment), message=bindparam("text"))
)
_OF = sa.select(actions).where(actions.c.container_uuid == bindparam("uuid")).order_by(actions.c.id.desc())
_ONE = sa.select(actions).where(
    actions.c.container_uuid == bindparam("uuid"), actions.c.request_id == bindparam("request_id")
)
_FORGET = sa.delete(actions).where(actions.c.container_uuid == bindparam("uuid"))


def begin(tx: Transaction, call: Call, uuid: str, action: str, *, finished: bool = False) -> None:
    """Write down what is asked; `finished` when the transaction itself does it all."""
    tx.execute(
        _INSERT,
        {
            "container_uuid": uuid,
            "action": action,
            "project_id": call.caller.project_id,
            "user_id": call.caller.user_id,
            "request_id": call.request_id,
            "start_time": tx.now,
            "finish_time": tx.now if finished else None,
            "message": None,
        },
    )


def finish(tx: Transaction, uuid: str, message: str | None = None) -> None:
    """End what is open; `message` is the reason of a failure."""
    tx.execute(_FINISH, {"uuid": uuid, "at": tx.now, "text": message})


def forget(tx: Transaction, uuid: str) -> None:
    """The container is gone."""
    tx.execute(_FORGET, {"uuid": uuid})


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/containers/{id}/container_actions."""
    return {"containerActions": [_view(row) for row in tx.all(_OF, {"uuid": call.target.uuid})]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/containers/{id}/container_actions/{request_id}: with its events."""
    request_id = call.path["request_id"]
    row = tx.first(_ONE, {"uuid": call.target.uuid, "request_id": request_id})
    if row is None:
        raise NotFound(f"The Action resource {request_id} could not be found.", kind="ResourceNotFound")
    ended = row.finish_time
    event = {
        "event": f"compute__do_container_{row.action}",
        "start_time": iso_offset(row.start_time),
        "finish_time": iso_offset(ended) if ended else None,
        "result": None if ended is None else "Error" if row.message else "Success",
        "traceback": row.message if call.allows("container:action:events") else None,
    }
    return {**_view(row), "events": [event]}


def _view(row: Any) -> dict[str, Any]:
    return {
        "action": row.action,
        "container_uuid": row.container_uuid,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "request_id": row.request_id,
        "start_time": iso_offset(row.start_time),
        "finish_time": iso_offset(row.finish_time) if row.finish_time else None,
        "message": row.message,
    }
