"""Quota classes (os-quota-class-sets): the class `default` has the limits of projects without their own."""

from __future__ import annotations

import hashlib
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.policy import Rule
from stackyard.core.quota import DEFAULTS
from stackyard.core.routes import Route
from stackyard.services.volume.quotas import limits
from stackyard.services.volume.rules import ADMIN


def _key(call: Call) -> str:
    """Under what a class's limits are kept; other classes than `default` are kept and shown, and bind nobody."""
    name = call.path["class_name"]
    if len(name) > 255:
        raise InvalidField("quota_class_name", f"it has {len(name)} characters, more than 255")
    return DEFAULTS if name == "default" else f"class:{hashlib.blake2s(name.encode(), digest_size=16).hexdigest()}"


def _values(tx: Transaction, call: Call) -> dict[str, Any]:
    own = limits.kept(tx, _key(call))
    names = limits.names(tx)
    found = limits.in_force(tx, call.runtime, None)
    return {name: own.get(names[name], limit) for name, limit in found.items()}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-quota-class-sets/{class_name}."""
    return {"quota_class_set": _values(tx, call) | {"id": call.path["class_name"]}}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-quota-class-sets/{class_name}."""
    wanted, names, key = limits.given(tx, call.body, "quota_class_set"), limits.names(tx), _key(call)
    for name, value in wanted.items():
        call.runtime.quotas.set_limit(tx, key, names[name], value)
    return {"quota_class_set": _values(tx, call)}


_ONE = "/v3/os-quota-class-sets/{class_name}"
_RULE = "volume_extension:quota_classes"

ROUTES = (
    Route("GET", _ONE, show, f"{_RULE}:get"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=dict),
)

POLICIES = (
    Rule(f"{_RULE}:get", ADMIN, "See the limits of a quota class."),
    Rule(f"{_RULE}:update", ADMIN, "Set the limits of a quota class."),
)
