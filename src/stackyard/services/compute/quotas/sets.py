"""Quota sets (os-quota-sets): the limits of a project, or of a user in it."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.policy import Rule
from stackyard.core.quota import UNLIMITED
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.fields import Flag, truth
from stackyard.services.compute.quotas import fields, limits
from stackyard.services.compute.quotas.limits import RESOURCES
from stackyard.services.compute.rules import ADMIN, ANY, READER
from stackyard.services.compute.tables import user_quotas
from stackyard.services.identity import api as identity_api

KIND = "compute_quota"

_u = user_quotas.c
_FORGET_USER = sa.delete(user_quotas).where(_u.project_id == bindparam("project"), _u.user_id == bindparam("user"))
_FORGET_USERS = sa.delete(user_quotas).where(_u.project_id == bindparam("project"))
_FORGET_ONE = _FORGET_USER.where(_u.resource == bindparam("named"))
_SET_ONE = sa.insert(user_quotas)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rules look at: the project in the path."""
    del tx
    return {"project_id": call.path["project_id"], "tenant_id": call.path["project_id"]}


def _require_project(tx: Transaction, call: Call) -> str:
    project_id = call.path["project_id"]
    if identity_api.find_project(tx, project_id) is None:
        raise BadRequest(f"Project ID {project_id[:255]} is not a valid project.")
    return project_id


def _user(call: Call) -> str | None:
    user_id = lists.query_of(call, ("user_id",), strict=call.since(2, 75)).get("user_id")
    if user_id is not None and len(user_id) > 64:
        raise InvalidField("user_id", "an id has at most 64 characters")
    return user_id or None


def _formatted(call: Call, project_id: str | None, values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {} if project_id is None else {"id": project_id}
    return {"quota_set": found | {name: values[name] for name in fields.shown(call, network_until=35)}}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-sets/{project_id}."""
    project_id = _require_project(tx, call)
    return _formatted(call, project_id, limits.in_force(tx, call.runtime, project_id, _user(call)))


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-sets/{project_id}/detail: with what is in use."""
    project_id, user_id = _require_project(tx, call), _user(call)
    allowed = limits.in_force(tx, call.runtime, project_id, user_id)
    used = limits.in_use(tx, call.runtime, project_id, user_id)
    values = {name: {"limit": allowed[name], "in_use": used[name], "reserved": 0} for name in RESOURCES}
    return _formatted(call, project_id, values)


def defaults(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-sets/{project_id}/defaults."""
    project_id = _require_project(tx, call)
    lists.query_of(call, (), strict=call.since(2, 102))
    return _formatted(call, project_id, limits.defaults(tx, call.runtime))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-quota-sets/{project_id}: set limits, not below what is in use unless `force` is said."""
    known = fields.shown(call, network_until=35)
    values = fields.given(call.body, "quota_set", (*known, "force"))
    force = _flag(values.pop("force", False))
    wanted = fields.limits(values, "quota_set")
    project_id, user_id = _require_project(tx, call), _user(call)
    if not force:
        used = limits.in_use(tx, call.runtime, project_id, user_id)
        most = limits.in_force(tx, call.runtime, project_id) if user_id else {}
        for name, value in wanted.items():
            _check(name, value, used[name], most.get(name, UNLIMITED))
    for name, value in wanted.items():
        if user_id is None:
            call.runtime.quotas.set_limit(tx, project_id, f"compute.{name}", value)
            continue
        whose = {"project": project_id, "user": user_id, "named": name}
        tx.execute(_FORGET_ONE, whose)
        tx.execute(_SET_ONE, {"project_id": project_id, "user_id": user_id, "resource": name, "hard_limit": value})
    timeline.record(tx, KIND, project_id, "changed", ", ".join(f"{name}: {value}" for name, value in wanted.items()))
    return _formatted(call, None, limits.in_force(tx, call.runtime, project_id, user_id))


def _flag(value: Any) -> bool:
    try:
        return truth(msgspec.convert(value, Flag))
    except msgspec.ValidationError:
        raise InvalidField("quota_set.force", f"'{str(value)[:40]}' is not a boolean") from None


def _check(name: str, value: int, least: int, most: int) -> None:
    if value != UNLIMITED and value < least:
        raise BadRequest(
            f"Quota limit {value} for {name} must be greater than or equal to already used and reserved {least}."
        )
    if most != UNLIMITED and (value == UNLIMITED or value > most):
        raise BadRequest(f"Quota limit {value} for {name} must be less than or equal to {most}.")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-quota-sets/{project_id}: back to the defaults; with `user_id`, back to the project's."""
    project_id, user_id = call.path["project_id"], _user(call)
    if user_id is not None:
        tx.execute(_FORGET_USER, {"project": project_id, "user": user_id})
        return
    tx.execute(_FORGET_USERS, {"project": project_id})
    for name in RESOURCES:
        call.runtime.quotas.clear_limit(tx, project_id, f"compute.{name}")
    timeline.record(tx, KIND, project_id, "reset")


_ONE = "/v2.1/os-quota-sets/{project_id}"
_RULE = "os_compute_api:os-quota-sets"

ROUTES = (
    Route("GET", _ONE, show, f"{_RULE}:show", target=load, query=("user_id",)),
    Route("GET", f"{_ONE}/detail", detail, f"{_RULE}:detail", target=load, query=("user_id",)),
    Route("GET", f"{_ONE}/defaults", defaults, f"{_RULE}:defaults", target=load),
    Route("PUT", _ONE, update, f"{_RULE}:update", target=load, body=dict, query=("user_id",)),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", target=load, status=202, query=("user_id",)),
)

POLICIES = (
    Rule(f"{_RULE}:show", READER, "See a project's quotas."),
    Rule(f"{_RULE}:detail", READER, "See a project's quotas and what is in use."),
    Rule(f"{_RULE}:defaults", ANY, "See the quotas of new projects."),
    Rule(f"{_RULE}:update", ADMIN, "Set a project's or user's quotas."),
    Rule(f"{_RULE}:delete", ADMIN, "Give a project or user the default quotas."),
)
