"""Quotas of the network service: what a project may own, by Neutron's names."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import quota
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.services.network.resources import integer

RESOURCES = (
    "floatingip",
    "network",
    "port",
    "rbac_policy",
    "router",
    "security_group",
    "security_group_rule",
    "subnet",
    "subnetpool",
    "trunk",
)
_LARGEST = 2**31 - 1

_OWN = sa.select(quota.limits.c.project_id).where(
    quota.limits.c.resource.in_([f"network.{name}" for name in RESOURCES])
)
_OWN_ONE = _OWN.where(quota.limits.c.project_id == bindparam("project"))


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rules look at: the project in the path."""
    del tx
    return {"project_id": call.path["project_id"], "tenant_id": call.path["project_id"]}


def _limits(tx: Transaction, call: Call, project_id: str) -> dict[str, int]:
    quotas = call.runtime.quotas
    return {name: quotas.limit(tx, project_id, f"network.{name}") for name in RESOURCES}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /quotas: the projects that have limits of their own."""
    projects = sorted({row.project_id for row in tx.all(_OWN)})
    named = [{"project_id": project, "tenant_id": project} | _limits(tx, call, project) for project in projects]
    return {"quotas": named}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}."""
    return {"quota": _limits(tx, call, call.path["project_id"])}


def default(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}/default."""
    del tx
    return {"quota": {name: call.runtime.quotas.defaults[f"network.{name}"] for name in RESOURCES}}


def details(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}/details.json."""
    project_id = call.path["project_id"]
    limits = _limits(tx, call, project_id)
    used = {name: call.runtime.quotas.in_use(tx, project_id, f"network.{name}") for name in RESOURCES}
    return {"quota": {name: {"limit": limits[name], "used": used[name], "reserved": 0} for name in RESOURCES}}


def own_project(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /quotas/tenant and /quotas/project: whose quotas a client should ask for."""
    del tx
    if not call.caller.project_id:
        raise BadRequest("Tenant-id was missing from quota request.", kind="QuotaMissingTenant")
    word = call.request.scope["path"].rstrip("/").rpartition("/")[2]
    return {word: {f"{word}_id": call.caller.project_id}}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /quotas/{project_id}."""
    given = call.body.get("quota")
    if not isinstance(given, dict):
        raise BadRequest("Malformed request body: expected an object with the key 'quota'.")
    project_id = call.path["project_id"]
    for name, value in given.items():
        if name in ("project_id", "tenant_id"):
            continue
        if name not in RESOURCES:
            raise InvalidField(f"quota.{name}", f"there is no such quota; there are {', '.join(RESOURCES)}.")
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise InvalidField(f"quota.{name}", f"'{value}' is not an integer.")
        limit = integer(f"quota.{name}", value)
        if not -1 <= limit <= _LARGEST:
            raise InvalidField(f"quota.{name}", f"{limit} is not between -1 (no limit) and {_LARGEST}.")
        call.runtime.quotas.set_limit(tx, project_id, f"network.{name}", limit)
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /quotas/{project_id}: back to the defaults."""
    project_id = call.path["project_id"]
    if tx.first(_OWN_ONE, {"project": project_id}) is None:
        raise NotFound(f"Quota for tenant {project_id} could not be found.", kind="TenantQuotaNotFound")
    for name in RESOURCES:
        call.runtime.quotas.clear_limit(tx, project_id, f"network.{name}")
