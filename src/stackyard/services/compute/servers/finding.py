"""The server that a call is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.compute.faults import not_found
from stackyard.services.compute.tables import servers

_BY_ID = sa.select(servers).where(servers.c.id == bindparam("key"), servers.c.deleted_at.is_(None))
_OF_PROJECT = _BY_ID.where(servers.c.project_id == bindparam("project"))


def by_id(tx: Transaction, server_id: str) -> Any:
    """A server's row, whoever's it is; None when there is none, or it is deleted."""
    return tx.first(_BY_ID, {"key": server_id})


def load(tx: Transaction, call: Call) -> Any:
    """The server of the path's `server_id`, which the caller may see; raises InstanceNotFound."""
    return find(tx, call, call.path["server_id"])


def find(tx: Transaction, call: Call, server_id: str) -> Any:
    """A server that the caller may see: his project's, any for an administrator; raises InstanceNotFound."""
    row = None
    if ids.is_uuid(server_id):
        if call.caller.is_admin:
            row = tx.first(_BY_ID, {"key": server_id})
        else:
            row = tx.first(_OF_PROJECT, {"key": server_id, "project": call.caller.project_id})
    if row is None:
        raise not_found("Instance", server_id)
    return row


def refuse_query(call: Call) -> None:
    """Since 2.102, refuse query parameters of a call that has none; they were ignored before."""
    if call.since(2, 102) and call.query.pairs():
        names = ", ".join(call.query.keys())
        raise BadRequest(f"Invalid input for query parameters: Additional properties are not allowed ({names[:255]})")
