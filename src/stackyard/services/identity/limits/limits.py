"""Limits: what one project, or a domain as a whole, may have of a resource whose limit is registered."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, InvalidField
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Route
from stackyard.services.identity.attributes import Identifier, Name255
from stackyard.services.identity.limits import models, tables
from stackyard.services.identity.limits.registered import Limit, RegionId, Text255, check_place
from stackyard.services.identity.limits.tables import limits, registered
from stackyard.services.identity.listing import texts
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.resource import Resource, Values
from stackyard.services.identity.targets import load

_IN_DOMAIN = sa.or_(
    limits.c.domain_id == bindparam("of_domain"),
    limits.c.project_id.in_(sa.select(projects.c.id).where(projects.c.domain_id == bindparam("of_domain"))),
)
_OF_PROJECT = limits.c.project_id == bindparam("of_project")
_OF_REGISTERED = (
    sa.select(limits, projects.c.domain_id.label("of_domain"))
    .outerjoin(projects, projects.c.id == limits.c.project_id)
    .where(limits.c.registered_limit_id.in_(bindparam("ids", expanding=True)))
)
_REGISTERED = sa.select(registered).where(registered.c.id.in_(bindparam("ids", expanding=True)))
_SAME = sa.select(limits.c.id).where(
    limits.c.registered_limit_id == bindparam("registered_limit_id"),
    limits.c.project_id.is_not_distinct_from(bindparam("project_id", type_=sa.String)),
    limits.c.domain_id.is_not_distinct_from(bindparam("domain_id", type_=sa.String)),
)


class NewLimit(OpenBody):
    """A limit of a project or of a domain."""

    service_id: str
    resource_name: Name255
    resource_limit: Limit
    region_id: RegionId | None = None
    description: Text255 | None = None
    project_id: Identifier | UnsetType | None = UNSET
    domain_id: Identifier | UnsetType | None = UNSET


class NewLimits(Body):
    """Several of them, all or none."""

    limits: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


class LimitChange(OpenBody):
    """What to change of one."""

    resource_limit: Limit | UnsetType = UNSET
    description: Text255 | UnsetType | None = UNSET


def load_limit(tx: Transaction, call: Call) -> Values:
    """The limit that the path names, and whose it is."""
    found = load(tx, call)
    row = found["limit"]
    if row is not None:
        owner = tx.first(project_tables.BY_ID, {"id": row.project_id or row.domain_id})
        looked_at = {
            "project_id": row.project_id,
            "domain.id": row.domain_id,
            "project.domain_id": owner.domain_id if owner is not None and row.project_id else None,
        }
        # What is None is left out: a caller without a domain must not pass for one of no domain.
        found |= {f"target.limit.{name}": value for name, value in looked_at.items() if value is not None}
    return found


def _scope(tx: Transaction, call: Call) -> Scope:
    del tx
    caller = call.caller
    if caller.system_scope or {"admin", "service"} & set(caller.roles):
        return EVERYTHING
    if caller.domain_id:
        return Scope("of domain", _IN_DOMAIN, {"of_domain": caller.domain_id})
    return Scope("of project", _OF_PROJECT, {"of_project": caller.project_id or ""})


def _to_store(tx: Transaction, call: Call, asked: NewLimit) -> Values:
    del call
    check_place(tx, asked.service_id, asked.region_id)
    owner = _owner(tx, asked)
    place = {"service_id": asked.service_id, "resource_name": asked.resource_name, "region_id": asked.region_id}
    default = tx.first(tables.REGISTERED_FOR, place)
    if default is None:
        raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
    keys = {"registered_limit_id": default.id, **owner}
    if tx.first(_SAME, keys) is not None:
        raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")
    return {**keys, "resource_limit": asked.resource_limit, "description": asked.description}


def _owner(tx: Transaction, asked: NewLimit) -> dict[str, str | None]:
    """Whose limit it is to be; a project that acts as a domain counts as the domain."""
    if (asked.project_id is UNSET) == (asked.domain_id is UNSET):
        raise BadRequest("Invalid input for limits: each is valid under one of project_id and domain_id, not both.")
    kind, owner_id = ("domain_id", asked.domain_id) if asked.project_id is UNSET else ("project_id", asked.project_id)
    row = tx.first(project_tables.BY_ID, {"id": owner_id}) if owner_id else None
    if row is None or (kind == "domain_id" and not row.is_domain):
        raise InvalidField(kind, f"Could not find {kind.removesuffix('_id')}: {owner_id}.")
    return {"project_id": None, "domain_id": row.id} if row.is_domain else {"project_id": row.id, "domain_id": None}


def create(tx: Transaction, call: Call) -> Values:
    """Set limits of projects and domains."""
    rows = [LIMITS.add(tx, call, document) for document in call.body.limits]
    _check_model(tx, call, rows)
    return LIMITS.together(call, rows)


def update(tx: Transaction, call: Call) -> Values:
    """Change a limit."""
    answer = LIMITS.update(tx, call)
    row = tx.first(tables.LIMIT_BY_ID, {"id": call.path["limit_id"]})
    assert row is not None  # noqa: S101 (just updated)
    _check_model(tx, call, [row])
    return answer


def _check_model(tx: Transaction, call: Call, rows: list[Row[Any]]) -> None:
    """Raise Forbidden when limits just written do not fit the enforcement model, which undoes them."""
    if call.runtime.settings.unified_limit.enforcement_model != models.STRICT_TWO_LEVEL:
        return
    ids = {"ids": sorted({row.registered_limit_id for row in rows})}
    existing = {
        row.id: models.Wanted(
            row.registered_limit_id, row.project_id, row.of_domain or row.domain_id, row.resource_limit
        )
        for row in tx.all(_OF_REGISTERED, ids)
    }
    defaults = {row.id: row.default_limit for row in tx.all(_REGISTERED, ids)}
    models.check_two_level(
        [existing[row.id] for row in rows], existing.values(), defaults, [_described(row) for row in rows]
    )


def _described(row: Row[Any]) -> str:
    owner = f"project_id: {row.project_id}" if row.project_id else f"domain_id: {row.domain_id}"
    return (
        f"{owner}, resource_name: {row.resource_name}, resource_limit: {row.resource_limit}, "
        f"service_id: {row.service_id}, region_id: {row.region_id}"
    )


def show_model(tx: Transaction, call: Call) -> Values:
    """The enforcement model in force."""
    del tx
    return {"model": models.view(call.runtime.settings.unified_limit.enforcement_model)}


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    shown = ("project_id", "domain_id", "service_id", "region_id", "resource_name", "resource_limit", "description")
    return {name: row._mapping[name] for name in shown}


LIMITS = Resource(
    kind="limit",
    plural="limits",
    path="/v3/limits",
    table=limits,
    new=NewLimit,
    change=LimitChange,
    view=_view,
    listing=Listing(
        limits,
        {
            "service_id": Filter(registered.c.service_id),
            "region_id": Filter(registered.c.region_id),
            "project_id": Filter(limits.c.project_id),
            "domain_id": Filter(limits.c.domain_id),
            **texts("resource_name", registered.c.resource_name),
        },
        default_sort=(("created_at", "asc"),),
        select=tables.ALL_LIMITS,
    ),
    scope=_scope,
    to_store=_to_store,
    may_be_empty=True,
    target=load_limit,
)

_OWN = (
    "domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s"
    " or (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)"
)
_RULES = {
    "get_limit_model": ("", ANY_SCOPE, "See the enforcement model."),
    "get_limit": (f"{ADMIN_OR_READER} or {_OWN}", ANY_SCOPE, "See a limit."),
    "list_limits": ("", ANY_SCOPE, "List the limits that one may see."),
    "create_limits": (ADMIN, CLOUD, "Set limits."),
    "update_limit": (ADMIN, CLOUD, "Change a limit."),
    "delete_limit": (ADMIN, CLOUD, "Delete a limit."),
}
POLICIES = tuple(Rule(f"identity:{name}", check, text, scopes) for name, (check, scopes, text) in _RULES.items())

ROUTES = (
    Route("GET", "/v3/limits/model", show_model, "identity:get_limit_model"),
    *LIMITS.routes("list show delete"),
    Route("POST", LIMITS.path, create, "identity:create_limits", body=NewLimits, status=201),
    LIMITS.route("PATCH", "/{limit_id}", update, "update", target=load_limit),
)
