"""Which projects may use a flavor that is not for everybody."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.flavors import bodies, rows
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.tables import flavor_projects
from stackyard.services.identity import api as identity

_BASE = "os_compute_api:os-flavor-access"
_PROJECTS = (
    sa.select(flavor_projects.c.project_id)
    .where(flavor_projects.c.flavor_id == bindparam("key"))
    .order_by(flavor_projects.c.project_id)
)
_ONE = sa.and_(flavor_projects.c.flavor_id == bindparam("key"), flavor_projects.c.project_id == bindparam("project"))
_HAS = sa.select(flavor_projects).where(_ONE)
_ADD = sa.insert(flavor_projects)
_REMOVE = sa.delete(flavor_projects).where(_ONE)


def _view(tx: Transaction, row: Any) -> dict[str, Any]:
    found = tx.all(_PROJECTS, {"key": row.id})
    return {"flavor_access": [{"flavor_id": row.flavorid, "tenant_id": one.project_id} for one in found]}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}/os-flavor-access."""
    lists.query_of(call, (), strict=call.since(2, 102))
    row = rows.find(tx, call, call.path["flavor_id"])
    if row.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _view(tx, row)


def change(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /flavors/{flavor_id}/action."""
    body: bodies.Access = call.body
    if body.add is not UNSET and body.remove is UNSET:
        call.require(f"{_BASE}:add_tenant_access", {})
        return _add(tx, call, body.add.tenant)
    if body.remove is not UNSET and body.add is UNSET:
        call.require(f"{_BASE}:remove_tenant_access", {})
        return _remove(tx, call, body.remove.tenant)
    raise BadRequest("There is not exactly one action: addTenantAccess or removeTenantAccess.")


def _add(tx: Transaction, call: Call, project_id: str) -> dict[str, Any]:
    if identity.find_project(tx, project_id) is None:
        raise BadRequest(f"Project ID {project_id} is not a valid project.")
    row = rows.find(tx, call, call.path["flavor_id"])
    if row.is_public and call.since(2, 7):
        raise Conflict("Can not add access to a public flavor.")
    if tx.first(_HAS, {"key": row.id, "project": project_id}) is not None:
        raise Conflict(
            f"Flavor access already exists for flavor {row.flavorid} and project {project_id} combination.",
            kind="FlavorAccessExists",
        )
    tx.execute(_ADD, {"flavor_id": row.id, "project_id": project_id})
    return _view(tx, row)


def _remove(tx: Transaction, call: Call, project_id: str) -> dict[str, Any]:
    row = rows.find(tx, call, call.path["flavor_id"])
    if tx.execute(_REMOVE, {"key": row.id, "project": project_id}).rowcount == 0:
        raise NotFound(
            f"Flavor access not found for {row.flavorid} / {project_id} combination.", kind="FlavorAccessNotFound"
        )
    return _view(tx, row)


ROUTES = (
    Route("GET", "/v2.1/flavors/{flavor_id}/os-flavor-access", list_, _BASE),
    Route("POST", "/v2.1/flavors/{flavor_id}/action", change, "os_compute_api:any", body=bodies.Access),
)

POLICIES = (
    Rule(_BASE, ADMIN, "List the projects that may use a flavor which is not for everybody."),
    Rule(f"{_BASE}:add_tenant_access", ADMIN, "Let a project use a flavor."),
    Rule(f"{_BASE}:remove_tenant_access", ADMIN, "Let a project not use a flavor any more."),
)
