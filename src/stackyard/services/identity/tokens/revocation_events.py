"""GET /v3/OS-REVOKE/events: what ended tokens before their time; and the list of revoked tokens, which nobody keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Moment, Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route
from stackyard.services.identity.policies import ADMIN, CLOUD
from stackyard.services.identity.tokens.revocations import revocations

_SINCE = (
    sa.select(revocations)
    .where(revocations.c.revoked_at >= bindparam("since", type_=Moment))
    .order_by(revocations.c.revoked_at, revocations.c.id)
)
_NAMES = {
    "user_id": "user_id",
    "domain_id": "domain_id",
    "project_id": "project_id",
    "audit_id": "audit_id",
    "audit_chain_id": "chain_id",
}
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The events, all that are kept or those since a moment; BadRequest for what is no moment."""
    rows = tx.all(_SINCE, {"since": _since(call.query.get("since"))})
    links = {"next": None, "self": call.url("/v3/OS-REVOKE/events"), "previous": None}
    return {"events": [_view(row) for row in rows], "links": links}


def _since(text: str | None) -> datetime:
    if not text:
        return _LONG_AGO
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"invalidate date format {text[:64]}") from None


def _view(row: Row[Any]) -> dict[str, Any]:
    named = {name: row._mapping[column] for name, column in _NAMES.items() if row._mapping[column] is not None}
    return {**named, "issued_before": iso_micro(row.issued_before), "revoked_at": iso_micro(row.revoked_at)}


def list_revoked_tokens(tx: Transaction, call: Call) -> None:
    """Refused to everybody, as in Keystone: tokens are nowhere kept, so there is nothing to list."""
    del tx, call
    raise Forbidden("You are not authorized to perform the requested action.")


ROUTES = (
    Route("GET", "/v3/OS-REVOKE/events", list_, "identity:list_revoke_events"),
    Route("GET", "/v3/auth/tokens/OS-PKI/revoked", list_revoked_tokens, PUBLIC),
)

POLICIES = (
    Rule(
        "identity:list_revoke_events",
        f"{ADMIN} or role:service",
        "List what ended tokens before their time.",
        CLOUD,
    ),
)
