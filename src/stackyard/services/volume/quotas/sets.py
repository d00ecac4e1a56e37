"""Quota sets (os-quota-sets): the limits of a project."""

from __future__ import annotations

from typing import Any

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.policy import Rule
from stackyard.core.quota import UNLIMITED
from stackyard.core.routes import Route
from stackyard.services.volume.fields import flag
from stackyard.services.volume.quotas import limits
from stackyard.services.volume.rules import ADMIN, READER

KIND = "volume_quota"


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rules look at: the project in the path."""
    del tx
    project_id = call.path["project_id"]
    if len(project_id) > 64:
        raise InvalidField("project_id", "an id has at most 64 characters")
    return {"project_id": project_id}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-sets/{project_id}, with what is in use for `usage=true`."""
    project_id = call.path["project_id"]
    found: dict[str, Any] = dict(limits.in_force(tx, call.runtime, project_id))
    if flag("usage", call.query.get("usage") or "false"):
        used = limits.in_use(tx, project_id)
        found = {name: {"limit": limit, "in_use": used[name], "reserved": 0} for name, limit in found.items()}
    return {"quota_set": found | {"id": project_id}}


def defaults(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-sets/{project_id}/defaults."""
    return {"quota_set": {**limits.in_force(tx, call.runtime, None), "id": call.path["project_id"]}}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-quota-sets/{project_id}: set limits, not below what is in use."""
    project_id = call.path["project_id"]
    wanted = limits.given(tx, call.body, "quota_set")
    used, own = limits.in_use(tx, project_id), limits.names(tx)
    for name, value in wanted.items():
        if name != "per_volume_gigabytes" and value != UNLIMITED and value < used[name]:
            raise BadRequest(
                f"Quota {name} limit must be equal or greater than existing resources. Current usage is {used[name]} "
                f"and the requested limit is {value}."
            )
    for name, value in wanted.items():
        call.runtime.quotas.set_limit(tx, project_id, own[name], value)
    timeline.record(tx, KIND, project_id, "changed", ", ".join(f"{name}: {value}" for name, value in wanted.items()))
    return {"quota_set": limits.in_force(tx, call.runtime, project_id)}


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /os-quota-sets/{project_id}: back to the defaults."""
    project_id = call.path["project_id"]
    for own in limits.kept(tx, project_id):
        call.runtime.quotas.clear_limit(tx, project_id, own)
    timeline.record(tx, KIND, project_id, "back to the defaults")
    return Reply(status=200)


_ONE = "/v3/os-quota-sets/{project_id}"
_RULE = "volume_extension:quotas"

ROUTES = (
    Route("GET", _ONE, show, f"{_RULE}:show", target=load, query=("usage",)),
    Route("PUT", _ONE, update, f"{_RULE}:update", target=load, body=dict),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", target=load),
    Route("GET", f"{_ONE}/defaults", defaults, f"{_RULE}:show", target=load),
)

POLICIES = (
    Rule(f"{_RULE}:show", READER, "See a project's limits of volumes."),
    Rule(f"{_RULE}:update", ADMIN, "Set a project's limits of volumes."),
    Rule(f"{_RULE}:delete", ADMIN, "Give a project the default limits of volumes again."),
)
