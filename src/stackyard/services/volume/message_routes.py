"""Asking for user messages (3.3): list, see, delete."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, rows
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.rules import MEMBER, READER
from stackyard.services.volume.tables import messages

_m = messages.c
_BY_ID = sa.select(messages).where(_m.id == bindparam("key"))
LISTING = Listing(
    messages,
    {
        "resource_uuid": Filter(_m.resource_id),
        "resource_type": Filter(_m.resource_type),
        "event_id": Filter(_m.event_id),
        "request_id": Filter(_m.request_id),
        "message_level": Filter(_m.message_level),
    },
    sort_keys=("id", "event_id", "resource_type", "request_id", "message_level", "created_at", "guaranteed_until"),
    default_sort=(("created_at", "desc"),),
)
_OWNED = lists.Owned(_m.project_id)


def load(tx: Transaction, call: Call) -> Any:
    """A message to the caller's project; raises MessageNotFound."""
    message_id = call.path["message_id"]
    row = tx.first(_BY_ID, {"key": message_id}) if ids.is_uuid(message_id) else None
    if row is None or (row.project_id != call.caller.project_id and not call.caller.is_admin):
        raise not_found("Message", message_id[:80])
    return row


def _view(call: Call, row: Any) -> dict[str, Any]:
    found = {
        "id": row.id,
        "event_id": row.event_id,
        "user_message": row.user_message,
        "message_level": row.message_level,
        "created_at": iso_naive(row.created_at),
        "guaranteed_until": iso_naive(row.guaranteed_until),
        "request_id": row.request_id,
        "links": lists.links(call, f"messages/{row.id}"),
    }
    if row.resource_type:
        found["resource_type"] = row.resource_type
    if row.resource_id:
        found["resource_uuid"] = row.resource_id
    return found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /messages."""
    found = lists.find(tx, call, LISTING, "messages", _OWNED.scope(call))
    return found.answer("messages", [_view(call, row) for row in found.rows])


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /messages/{message_id}."""
    del tx
    return {"message": _view(call, call.target)}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /messages/{message_id}."""
    rows.delete(tx, messages, call.target.id)


_SINCE = Microversion(3, 3)
_ONE = "/v3/messages/{message_id}"

ROUTES = (
    Route("GET", "/v3/messages", list_, "message:get_all", since=_SINCE, query=LISTING.parameters),
    Route("GET", _ONE, show, "message:get", since=_SINCE, target=load),
    Route("DELETE", _ONE, delete, "message:delete", since=_SINCE, target=load, status=204),
)

POLICIES = (
    Rule("message:get_all", READER, "List messages to the project."),
    Rule("message:get", READER, "See a message."),
    Rule("message:delete", MEMBER, "Delete a message."),
)
