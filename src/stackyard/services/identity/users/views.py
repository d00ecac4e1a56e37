"""Users and groups as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro


def view(call: Call, row: Row[Any]) -> dict[str, Any]:
    """One user, without anything of the password but when it ends."""
    expires = row.password_expires_at
    body = {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "password_expires_at": None if expires is None else iso_micro(expires)[:-1],
        "options": row.options,
        "links": {"self": call.url(f"/v3/users/{row.id}")},
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
