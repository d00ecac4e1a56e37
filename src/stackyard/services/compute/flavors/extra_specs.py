"""Extra specs: what a flavor asks of hosts and drivers beyond its size, as keys and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.fields import MetadataKey, Text
from stackyard.services.compute.flavors import known_specs, rows
from stackyard.services.compute.rules import ADMIN, READER
from stackyard.services.compute.tables import flavors

KIND = "flavor"
_BASE = "os_compute_api:os-flavor-extra-specs"
_WRITE = (
    sa.update(flavors)
    .where(flavors.c.id == bindparam("key"))
    .values(extra_specs=bindparam("specs", type_=sa.JSON), updated_at=bindparam("at"))
)

Specs = dict[MetadataKey, Text | int | float]


class NewSpecs(Body, kw_only=True):
    """POST: keys and values, added to those there are."""

    extra_specs: Specs


OneSpec = Annotated[Specs, Meta(min_length=1, max_length=1)]
"""PUT: the one key of the path, with its value."""


def _one_spec(version: Microversion | None) -> Any:
    del version
    return OneSpec


def _load(tx: Transaction, call: Call) -> Any:
    return rows.find(tx, call, call.path["flavor_id"])


def _texts(call: Call, given: Mapping[str, Any]) -> dict[str, str]:
    """The values as texts, checked against what is known of their keys since 2.86."""
    found = {key: str(value) for key, value in given.items()}
    for key, value in found.items():
        if len(value) > 255:
            raise InvalidField("extra_specs", f"the value of {key} has over 255 characters")
        if call.since(2, 86):
            known_specs.check(key, value)
    return found


def _write(tx: Transaction, row: Any, specs: Mapping[str, str]) -> None:
    tx.execute(_WRITE, {"key": row.id, "specs": dict(specs), "at": tx.now})
    timeline.record(tx, KIND, row.flavorid, "extra specs changed")


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}/os-extra_specs."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return {"extra_specs": _load(tx, call).extra_specs}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /flavors/{flavor_id}/os-extra_specs."""
    texts = _texts(call, call.body.extra_specs)
    row = _load(tx, call)
    _write(tx, row, row.extra_specs | texts)
    return {"extra_specs": call.body.extra_specs}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}/os-extra_specs/{key}."""
    lists.query_of(call, (), strict=call.since(2, 102))
    row, key = _load(tx, call), call.path["key"]
    return {key: _spec(row, key)}


def _spec(row: Any, key: str) -> str:
    if key not in row.extra_specs:
        raise NotFound(f"Flavor {row.flavorid} has no extra specs with key {key}.", kind="FlavorExtraSpecsNotFound")
    return str(row.extra_specs[key])


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /flavors/{flavor_id}/os-extra_specs/{key}; makes it when it is not there."""
    texts = _texts(call, call.body)
    if call.path["key"] not in texts:
        raise BadRequest("Request body and URI mismatch")
    row = _load(tx, call)
    _write(tx, row, row.extra_specs | texts)
    return dict(call.body)


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /flavors/{flavor_id}/os-extra_specs/{key}."""
    row, key = _load(tx, call), call.path["key"]
    _spec(row, key)
    _write(tx, row, {name: value for name, value in row.extra_specs.items() if name != key})
    return Reply(status=200)


_ALL = "/v2.1/flavors/{flavor_id}/os-extra_specs"
_ONE = f"{_ALL}/{{key}}"

ROUTES = (
    Route("GET", _ALL, list_, f"{_BASE}:index"),
    Route("POST", _ALL, create, f"{_BASE}:create", body=NewSpecs),
    Route("GET", _ONE, show, f"{_BASE}:show"),
    Route("PUT", _ONE, update, f"{_BASE}:update", body=_one_spec, schema=Specs),
    Route("DELETE", _ONE, delete, f"{_BASE}:delete"),
)

POLICIES = (
    Rule(f"{_BASE}:index", READER, "List a flavor's extra specs, and see them with the flavor."),
    Rule(f"{_BASE}:show", READER, "See one extra spec."),
    Rule(f"{_BASE}:create", ADMIN, "Give a flavor extra specs."),
    Rule(f"{_BASE}:update", ADMIN, "Change one extra spec."),
    Rule(f"{_BASE}:delete", ADMIN, "Delete one extra spec."),
)
