"""Users and groups as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.services.identity.users import activity


def view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    """One user, without anything of the password but when it ends."""
    return views(tx, call, [row])[0]


def views(tx: Transaction, call: Call, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Users; one that has not signed in for too long shows as disabled, which it counts as."""
    inactive = activity.inactive(tx, call.runtime.settings.password, rows)
    base = call.url("/v3/users")  # once: it takes as long as all the rest of a user
    return [_view(base, row, enabled=row.enabled and row.id not in inactive) for row in rows]


def _view(base: str, row: Row[Any], *, enabled: bool) -> dict[str, Any]:
    expires = row.password_expires_at
    body = {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": enabled,
        "password_expires_at": None if expires is None else iso_micro(expires)[:-1],
        "options": row.options,
        "links": {"self": f"{base}/{row.id}"},
    }
    if row.default_project_id is not None:
        body["default_project_id"] = row.default_project_id
    return body


def group_view(call: Call, row: Row[Any]) -> dict[str, Any]:
    """One group."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "description": row.description,
        "links": {"self": call.url(f"/v3/groups/{row.id}")},
    }
