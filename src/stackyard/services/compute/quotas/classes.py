"""Quota classes (os-quota-class-sets): the class `default` has the limits of projects without their own."""

from __future__ import annotations

import hashlib
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.core.quota import DEFAULTS
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.quotas import fields, limits
from stackyard.services.compute.quotas.limits import GROUPS
from stackyard.services.compute.rules import ADMIN


def _key(name: str) -> str:
    """Under what a class's limits are kept; other classes than `default` are kept and shown, and bind nobody."""
    return DEFAULTS if name == "default" else f"class:{hashlib.blake2s(name.encode(), digest_size=16).hexdigest()}"


def _formatted(tx: Transaction, call: Call, name: str, *, named: bool) -> dict[str, Any]:
    values = limits.defaults(tx, call.runtime) | limits.kept(tx, _key(name))
    hidden = () if call.since(2, 50) else GROUPS
    known = [resource for resource in fields.shown(call, network_until=49) if resource not in hidden]
    found: dict[str, Any] = {"id": name} if named else {}
    return {"quota_class_set": found | {resource: values[resource] for resource in known}}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-class-sets/{class_name}."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return _formatted(tx, call, call.path["class_name"], named=True)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-quota-class-sets/{class_name}."""
    values = fields.given(call.body, "quota_class_set", fields.shown(call, network_until=49))
    wanted = fields.limits(values, "quota_class_set")
    name = call.path["class_name"]
    if len(name) > 255:
        raise BadRequest(f"quota_class_name has {len(name)} characters, more than 255.")
    for resource, value in wanted.items():
        call.runtime.quotas.set_limit(tx, _key(name), f"compute.{resource}", value)
    return _formatted(tx, call, name, named=False)


_ONE = "/v2.1/os-quota-class-sets/{class_name}"
_RULE = "os_compute_api:os-quota-class-sets"

ROUTES = (
    Route("GET", _ONE, show, f"{_RULE}:show"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=dict),
)

POLICIES = (
    Rule(f"{_RULE}:show", ADMIN, "See the quotas of a class."),
    Rule(f"{_RULE}:update", ADMIN, "Set the quotas of a class."),
)
