"""Roles: list, show, create, update, delete. Those of a domain have policy rules of their own besides."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.attributes import Identifier, Name255, Options
from stackyard.services.identity.listing import texts
from stackyard.services.identity.resource import Resource, Values
from stackyard.services.identity.roles import tables
from stackyard.services.identity.roles.tables import roles
from stackyard.services.identity.users.operations import check_domain

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


def view(call: Call, row: Row[Any]) -> Values:
    """One role."""
    return ROLES.shown(call, row)


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    return {
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "options": row.options,
    }


def _scope(tx: Transaction, call: Call) -> Scope:
    """The cloud's roles, or those of the domain that is asked for."""
    del tx
    if not call.query.get("domain_id"):
        return _GLOBAL_ONES
    call.require("identity:list_domain_roles")
    return EVERYTHING


def _guard(call: Call, row: Row[Any], verb: str) -> None:
    if row.domain_id:
        call.require(f"identity:{verb}_domain_role", call.target)


def _to_store(tx: Transaction, call: Call, asked: NewRole) -> Values:
    domain_id = asked.domain_id or tables.GLOBAL
    if domain_id:
        call.require("identity:create_domain_role", {"target.role.domain_id": domain_id})
        check_domain(tx, domain_id)
    name = asked.name.strip()
    _check_name_free(tx, domain_id, name)
    options = attributes.new_options(asked.options)
    return {"name": name, "domain_id": domain_id, "description": asked.description, "options": options}


def _check_name_free(tx: Transaction, domain_id: str, name: str) -> None:
    if tx.first(tables.BY_NAME, {"domain_id": domain_id, "name": name}) is not None:
        raise Conflict(f"Conflict occurred attempting to store role - Duplicate entry found with name {name}.")


def _to_change(tx: Transaction, call: Call, row: Row[Any], asked: RoleChange) -> Values:
    # What else a client sends is kept as well, so it counts as a change too.
    attributes.check_mutable(row.options, "role", row.id, asked if set(call.body) == {"options"} else None)
    if asked.domain_id is not UNSET and (asked.domain_id or "") != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    name = row.name if asked.name is UNSET else asked.name.strip()
    if name != row.name:
        _check_name_free(tx, row.domain_id, name)
    return {
        "name": name,
        "description": row.description if asked.description is UNSET else asked.description,
        "options": attributes.new_options(asked.options, row.options),
    }


def _before_delete(tx: Transaction, call: Call, row: Row[Any]) -> None:
    """Every assignment of a role goes with it."""
    del tx, call
    attributes.check_mutable(row.options, "role", row.id)


ROLES = Resource(
    kind="role",
    plural="roles",
    path="/v3/roles",
    table=roles,
    new=NewRole,
    change=RoleChange,
    view=_view,
    listing=Listing(
        roles,
        {"domain_id": Filter(roles.c.domain_id), **texts("name", roles.c.name)},
        sort_keys=("name",),
        default_sort=(("name", "asc"),),
    ),
    scope=_scope,
    to_store=_to_store,
    to_change=_to_change,
    before_delete=_before_delete,
    guard=_guard,
)

ROUTES = ROLES.routes()
