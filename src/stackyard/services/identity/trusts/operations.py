"""Trusts: list, show, create, delete, and the roles of one."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, Forbidden, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import EVERYTHING, Filter, Listing
from stackyard.core.routes import Route
from stackyard.services.identity import attributes, moments
from stackyard.services.identity.listing import collection
from stackyard.services.identity.roles import references
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.roles.operations import view as role_view
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.trusts import chain, redelegation, tables
from stackyard.services.identity.trusts.bodies import NewTrust
from stackyard.services.identity.trusts.tables import trusts
from stackyard.services.identity.users import tables as user_tables

_SEEN = ("id", "trustor_user_id", "trustee_user_id", "project_id")
LISTING = Listing(
    trusts,
    {"trustor_user_id": Filter(trusts.c.trustor_user_id), "trustee_user_id": Filter(trusts.c.trustee_user_id)},
)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The trust that the path names; NotFound for one that is gone, over or used up, whoever asks, as Keystone does."""
    row = tx.first(tables.BY_ID, {"id": call.path["trust_id"]})
    if row is None or chain.is_over(tx, row) or row.remaining_uses == 0:
        raise NotFound(f"Could not find trust: {call.path['trust_id']}.")
    return {"trust": row, **{f"target.trust.{name}": row._mapping[name] for name in _SEEN}}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """For creation: who would be the trustor."""
    del tx
    return {f"target.trust.{name}": call.body.get(name) for name in _SEEN if isinstance(call.body.get(name), str)}


def refuse_delegated(call: Call) -> None:
    """Raise Forbidden for a token that acts through anything but a trust: none of that was lent for trusts."""
    if call.caller.delegation not in (None, payload.TRUST):
        raise Forbidden(
            "You are not authorized to perform the requested action: Delegated tokens cannot manage trusts."
        )


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Trusts of a trustor or a trustee, or all."""
    trustor, trustee = call.query.get("trustor_user_id"), call.query.get("trustee_user_id")
    if trustor:
        call.require("identity:list_trusts_for_trustor", {"target.trust.trustor_user_id": trustor})
    elif trustee:
        call.require("identity:list_trusts_for_trustee", {"target.trust.trustee_user_id": trustee})
    else:
        call.require("identity:list_trusts", {})
    refuse_delegated(call)
    page = LISTING.page(tx, call.query, EVERYTHING)
    return collection(call, "trusts", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One trust."""
    refuse_delegated(call)
    return {"trust": _whole_view(tx, call, call.target["trust"])}


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "trustor_user_id": row.trustor_user_id,
        "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id,
        "impersonation": row.impersonation,
        "expires_at": None if row.expires_at is None else iso_micro(row.expires_at),
        "deleted_at": None,
        "remaining_uses": row.remaining_uses,
        "redelegated_trust_id": row.redelegated_trust_id,
        "redelegation_count": row.redelegation_count,
        "links": {"self": call.url(f"/v3/OS-TRUST/trusts/{row.id}")},
    }


def _whole_view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    return {**_view(call, row), "roles": _roles(tx, call, row), "roles_links": _roles_links(call, row)}


def _roles(tx: Transaction, call: Call, row: Row[Any]) -> list[dict[str, Any]]:
    ids = chain.role_ids(tx, row)
    return [role_view(call, role) for role in tx.all(role_tables.BY_IDS, {"ids": ids})] if ids else []


def _roles_links(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {"self": call.url(f"/v3/OS-TRUST/trusts/{row.id}/roles"), "next": None, "previous": None}


def list_roles(tx: Transaction, call: Call) -> dict[str, Any]:
    """The roles that a trust lends."""
    refuse_delegated(call)
    row = call.target["trust"]
    return {"roles": _roles(tx, call, row), "links": _roles_links(call, row)}


def show_role(tx: Transaction, call: Call) -> dict[str, Any]:
    """One of them."""
    refuse_delegated(call)
    role_id = call.path["role_id"]
    for role in _roles(tx, call, call.target["trust"]):
        if role["id"] == role_id:
            return {"role": role}
    raise NotFound(f"Could not find role: {role_id}.")


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a trust: of the caller's own roles, or handed on from the trust that the caller's token acts through."""
    asked, extra = attributes.read(call.body, NewTrust, "trust")
    references.check(asked.roles)
    refuse_delegated(call)
    if asked.project_id and not asked.roles:
        raise _refused("At least one role should be specified")
    if asked.trustor_user_id != call.caller.user_id:
        raise _refused("The authenticated user should match the trustor")
    if tx.first(user_tables.BY_ID, {"id": asked.trustee_user_id}) is None:
        raise NotFound(f"Could not find user: {asked.trustee_user_id}.")
    expires_at = moments.future("expires_at", asked.expires_at, tx.now)
    above = redelegation.chain_above(tx, call)
    role_ids = sorted(references.ids_of(tx, asked.roles))
    redelegation.check_roles(tx, asked, role_ids, above)
    count, expires_at = redelegation.limits(call, asked, above, expires_at)
    values = {
        "id": new_hex(),
        "trustor_user_id": asked.trustor_user_id,
        "trustee_user_id": asked.trustee_user_id,
        "project_id": asked.project_id or None,
        "impersonation": asked.impersonation,
        "expires_at": expires_at,
        "remaining_uses": asked.remaining_uses,
        "redelegated_trust_id": above[0].id if above else None,
        "redelegation_count": count,
        "extra": extra,
        "created_at": tx.now,
    }
    return {"trust": _whole_view(tx, call, _insert(tx, values, role_ids))}


def _insert(tx: Transaction, values: dict[str, Any], role_ids: list[str]) -> Row[Any]:
    key = ("trustor_user_id", "trustee_user_id", "project_id", "impersonation", "expires_at")
    if values["expires_at"] is not None and tx.first(tables.SAME, {name: values[name] for name in key}) is not None:
        raise Conflict("Conflict occurred attempting to store trust - Duplicate entry found: there is such a trust.")
    tx.execute(tables.INSERT, values)
    for role_id in role_ids:
        tx.execute(tables.INSERT_ROLE, {"trust_id": values["id"], "role_id": role_id})
    made = tx.first(tables.BY_ID, {"id": values["id"]})
    assert made is not None  # noqa: S101 (inserted above)
    return made


def _refused(action: str) -> Forbidden:
    return Forbidden(f"You are not authorized to perform the requested action: {action}.")


def delete(tx: Transaction, call: Call) -> None:
    """Delete a trust, with all that were handed on from it; their tokens end."""
    refuse_delegated(call)
    tx.execute(tables.DELETE, {"id": call.target["trust"].id})


_TRUSTS = "/v3/OS-TRUST/trusts"
_ONE = f"{_TRUSTS}/{{trust_id}}"

ROUTES = (
    Route("GET", _TRUSTS, list_, "identity:ask_for_trusts"),
    Route(
        "POST",
        _TRUSTS,
        create,
        "identity:create_trust",
        target=load_new,
        body=dict,
        schema=NewTrust,
        envelope="trust",
        status=201,
    ),
    Route("GET", _ONE, show, "identity:get_trust", target=load),
    Route("DELETE", _ONE, delete, "identity:delete_trust", target=load),
    Route("GET", f"{_ONE}/roles", list_roles, "identity:list_roles_for_trust", target=load),
    Route("GET", f"{_ONE}/roles/{{role_id}}", show_role, "identity:get_role_for_trust", target=load),
)
