"""Registered limits: the resources that may be limited at all, each with the limit of whoever has none of its own."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, Forbidden, InvalidField
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Route
from stackyard.services.identity.attributes import Name255
from stackyard.services.identity.catalog import tables as catalog_tables
from stackyard.services.identity.limits import tables
from stackyard.services.identity.limits.tables import registered
from stackyard.services.identity.listing import texts
from stackyard.services.identity.policies import ADMIN, CLOUD
from stackyard.services.identity.resource import Resource, Values

Limit = Annotated[int, msgspec.Meta(ge=-1, le=0x7FFFFFFF)]
Text255 = Annotated[str, msgspec.Meta(max_length=255)]
RegionId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class NewRegistered(OpenBody):
    """A limit to register."""

    service_id: str
    resource_name: Name255
    default_limit: Limit
    region_id: RegionId | None = None
    description: Text255 | None = None


class NewRegisteredLimits(Body):
    """Several of them, all or none."""

    registered_limits: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


class RegisteredChange(OpenBody):
    """What to change of one."""

    service_id: str | UnsetType = UNSET
    resource_name: Name255 | UnsetType = UNSET
    default_limit: Limit | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    description: Text255 | UnsetType | None = UNSET


def check_place(tx: Transaction, service_id: str | UnsetType, region_id: str | UnsetType | None) -> None:
    """Raise InvalidField for a service or region that is not there."""
    if service_id is not UNSET and tx.first(catalog_tables.SERVICE_BY_ID, {"id": service_id}) is None:
        raise InvalidField("service_id", f"Could not find service: {service_id}.")
    if isinstance(region_id, str) and tx.first(catalog_tables.REGION_BY_ID, {"id": region_id}) is None:
        raise InvalidField("region_id", f"Could not find region: {region_id}.")


def _check_unique(tx: Transaction, values: Values, own_id: str | None = None) -> None:
    found = tx.first(
        tables.REGISTERED_FOR, {name: values[name] for name in ("service_id", "resource_name", "region_id")}
    )
    if found is not None and found.id != own_id:
        raise Conflict("Conflict occurred attempting to store registered_limit - Duplicate entry.")


def _check_unused(tx: Transaction, call: Call, row: Row[Any]) -> None:
    del call
    if tx.first(tables.LIMITS_OF_REGISTERED, {"registered_limit_id": row.id}) is not None:
        raise Forbidden(
            f"Unable to update or delete registered limit {row.id} because there are project limits associated with it."
        )


def _to_store(tx: Transaction, call: Call, asked: NewRegistered) -> Values:
    del call
    check_place(tx, asked.service_id, asked.region_id)
    values = dict(asked.given())
    _check_unique(tx, values)
    return values


def _to_change(tx: Transaction, call: Call, row: Row[Any], asked: RegisteredChange) -> Values:
    check_place(tx, asked.service_id, asked.region_id)
    _check_unused(tx, call, row)
    values = dict(asked.given())
    _check_unique(tx, {**row._mapping, **values}, row.id)
    return values


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    shown = ("service_id", "region_id", "resource_name", "default_limit", "description")
    return {name: row._mapping[name] for name in shown}


REGISTERED_LIMITS = Resource(
    kind="registered_limit",
    plural="registered_limits",
    path="/v3/registered_limits",
    table=registered,
    new=NewRegistered,
    change=RegisteredChange,
    view=_view,
    listing=Listing(
        registered,
        {
            "service_id": Filter(registered.c.service_id),
            "region_id": Filter(registered.c.region_id),
            **texts("resource_name", registered.c.resource_name),
        },
        default_sort=(("created_at", "asc"),),
    ),
    to_store=_to_store,
    may_be_empty=True,
    to_change=_to_change,
    before_delete=_check_unused,
)


def create(tx: Transaction, call: Call) -> Values:
    """Register limits."""
    rows = [REGISTERED_LIMITS.add(tx, call, document) for document in call.body.registered_limits]
    return REGISTERED_LIMITS.together(call, rows)


_RULES = {
    "get_registered_limit": ("", ANY_SCOPE, "See a registered limit."),
    "list_registered_limits": ("", ANY_SCOPE, "List registered limits."),
    "create_registered_limits": (ADMIN, CLOUD, "Register limits."),
    "update_registered_limit": (ADMIN, CLOUD, "Change a registered limit."),
    "delete_registered_limit": (ADMIN, CLOUD, "Delete a registered limit."),
}
POLICIES = tuple(Rule(f"identity:{name}", check, text, scopes) for name, (check, scopes, text) in _RULES.items())

ROUTES = (
    *REGISTERED_LIMITS.routes("list show update delete"),
    Route(
        "POST",
        REGISTERED_LIMITS.path,
        create,
        "identity:create_registered_limits",
        body=NewRegisteredLimits,
        status=201,
    ),
)
