"""Roles: list, show, create, update, delete. Those of a domain have policy rules of their own besides."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.attributes import Identifier, Name255, Options
from stackyard.services.identity.listing import collection, texts
from stackyard.services.identity.roles import tables
from stackyard.services.identity.roles.tables import roles
from stackyard.services.identity.targets import the
from stackyard.services.identity.users.operations import check_domain

LISTING = Listing(
    roles,
    {"domain_id": Filter(roles.c.domain_id), **texts("name", roles.c.name)},
    sort_keys=("name",),
    default_sort=(("name", "asc"),),
)
_UPDATE = sa.update(roles).where(roles.c.id == bindparam("key"))
_GLOBAL_ONES = Scope("global", roles.c.domain_id == tables.GLOBAL)


class NewRole(OpenBody):
    """A role to make."""

    name: Name255
    domain_id: Identifier | UnsetType | None = UNSET
    description: str | None = None
    options: Options | UnsetType = UNSET


class RoleChange(OpenBody):
    """What to change of a role."""

    name: Name255 | UnsetType = UNSET
    domain_id: Identifier | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    options: Options | UnsetType = UNSET


def view(call: Call, row: Row[Any]) -> dict[str, Any]:
    """One role."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "options": row.options,
        "links": {"self": call.url(f"/v3/roles/{row.id}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The cloud's roles, or those of the domain that is asked for."""
    of_domain = bool(call.query.get("domain_id"))
    if of_domain:
        call.require("identity:list_domain_roles")
    page = LISTING.page(tx, call.query, EVERYTHING if of_domain else _GLOBAL_ONES)
    return collection(call, "roles", [view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One role."""
    del tx
    return {"role": view(call, _role(call, "identity:get_domain_role"))}


def _role(call: Call, rule_of_domain: str) -> Row[Any]:
    row = the(call, "role")
    if row.domain_id:
        call.require(rule_of_domain, call.target)
    return row


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a role."""
    asked, extra = attributes.read(call.body, NewRole, "role")
    domain_id = asked.domain_id or tables.GLOBAL
    if domain_id:
        call.require("identity:create_domain_role", {"target.role.domain_id": domain_id})
        check_domain(tx, domain_id)
    name = asked.name.strip()
    _check_name_free(tx, domain_id, name)
    role_id = new_hex()
    values = {"id": role_id, "name": name, "domain_id": domain_id, "description": asked.description}
    options = attributes.new_options(asked.options)
    tx.execute(tables.INSERT, {**values, "options": options, "extra": extra, "created_at": tx.now})
    return {"role": view(call, _read(tx, role_id))}


def _check_name_free(tx: Transaction, domain_id: str, name: str) -> None:
    if tx.first(tables.BY_NAME, {"domain_id": domain_id, "name": name}) is not None:
        raise Conflict(f"Conflict occurred attempting to store role - Duplicate entry found with name {name}.")


def _read(tx: Transaction, role_id: str) -> Row[Any]:
    row = tx.first(tables.BY_ID, {"id": role_id})
    if row is None:
        raise NotFound(f"Could not find role: {role_id}.")
    return row


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a role."""
    row = _role(call, "identity:update_domain_role")
    asked, extra = attributes.changes(call.body, RoleChange, "role", row.id)
    attributes.check_mutable(row.options, "role", row.id, asked.options)
    if asked.domain_id is not UNSET and (asked.domain_id or "") != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    name = row.name if asked.name is UNSET else asked.name.strip()
    if name != row.name:
        _check_name_free(tx, row.domain_id, name)
    values = {
        "name": name,
        "description": row.description if asked.description is UNSET else asked.description,
        "options": attributes.new_options(asked.options, row.options),
        "extra": attributes.merged(row.extra, extra),
    }
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return {"role": view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a role, and with it every assignment of it."""
    row = _role(call, "identity:delete_domain_role")
    attributes.check_mutable(row.options, "role", row.id)
    tx.execute(tables.DELETE, {"id": row.id})
