"""The access tokens that a user has authorised: list, show, delete, and their roles."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound
from stackyard.services.identity.listing import collection
from stackyard.services.identity.oauth1 import signed, tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.roles.operations import view as role_view


def refuse_delegated(call: Call) -> None:
    """Raise Forbidden for a token that acts through anything."""
    if call.caller.delegation is not None:
        raise Forbidden("Cannot manage OAuth access tokens with a token issued via delegation.")


def _the_token(tx: Transaction, call: Call) -> Row[Any]:
    refuse_delegated(call)
    row = signed.find_access_token(tx, call.path["access_token_id"])
    if row is None or row.user_id != call.path["user_id"]:
        raise NotFound("Access token not found")
    return row


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    url = call.url(f"/v3/users/{row.user_id}/OS-OAUTH1/access_tokens/{row.id}")
    return {
        "id": row.id,
        "consumer_id": row.consumer_id,
        "authorizing_user_id": row.user_id,
        "project_id": row.project_id,
        "expires_at": None if row.expires_at is None else iso_micro(row.expires_at),
        "links": {"self": url, "roles": f"{url}/roles"},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """A user's access tokens."""
    refuse_delegated(call)
    rows = tx.all(tables.ACCESS_OF_USER, {"user_id": call.path["user_id"]})
    return collection(call, "access_tokens", [_view(call, row) for row in rows])


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One access token."""
    return {"access_token": _view(call, _the_token(tx, call))}


def delete(tx: Transaction, call: Call) -> None:
    """Take an access token back; the tokens got with it end."""
    tx.execute(tables.DELETE_ACCESS, {"id": _the_token(tx, call).id})


def _roles(tx: Transaction, call: Call) -> list[dict[str, Any]]:
    ids = _the_token(tx, call).role_ids
    rows = tx.all(role_tables.BY_IDS, {"ids": ids}) if ids else []
    return [{name: value for name, value in role_view(call, row).items() if name != "description"} for row in rows]


def list_roles(tx: Transaction, call: Call) -> dict[str, Any]:
    """The roles of an access token."""
    return collection(call, "roles", _roles(tx, call))


def show_role(tx: Transaction, call: Call) -> dict[str, Any]:
    """One of them."""
    for role in _roles(tx, call):
        if role["id"] == call.path["role_id"]:
            return {"role": role}
    raise NotFound(f"Could not find role: {call.path['role_id']}.")
