"""Extra specs: what a volume type asks of back ends, as keys and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import rows
from stackyard.services.volume.fields import Text, specs
from stackyard.services.volume.rules import ADMIN, READER
from stackyard.services.volume.tables import volume_types
from stackyard.services.volume.types import finding, operations, views

SpecKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-_:.]{1,255}\Z")]
TRUE = "<is> True"


class NewSpecs(Body, kw_only=True):
    """POST: added to those there are."""

    extra_specs: dict[SpecKey, Text | None]


OneSpec = Annotated[dict[SpecKey, Text | None], Meta(min_length=1, max_length=1)]
"""PUT: the one key of the path, with its value."""


def _one_spec(version: Microversion | None) -> Any:
    del version
    return OneSpec


def _load(tx: Transaction, call: Call) -> Any:
    return finding.find_by_id(tx, call.caller, call.path["type_id"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}/extra_specs."""
    return {"extra_specs": views.visible_specs(call, _load(tx, call))}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}/extra_specs/{key}."""
    row, key = _load(tx, call), call.path["key"]
    found = views.visible_specs(call, row)
    if key not in found:
        raise _no_such(row, key)
    return {key: found[key]}


def _no_such(row: Any, key: str) -> NotFound:
    return NotFound(
        f"Volume Type {row.id} has no extra specs with key {key[:255]}.", kind="VolumeTypeExtraSpecsNotFound"
    )


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /types/{type_id}/extra_specs."""
    body: NewSpecs = call.body
    row = _changeable(tx, call)
    _write(tx, row, {**row.extra_specs, **specs(body.extra_specs)})
    return {"extra_specs": body.extra_specs}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /types/{type_id}/extra_specs/{key}; makes it when it is not there."""
    if call.path["key"] not in call.body:
        raise BadRequest("Request body and URI mismatch")
    row = _changeable(tx, call)
    _write(tx, row, {**row.extra_specs, **specs(call.body)})
    return dict(call.body)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /types/{type_id}/extra_specs/{key}."""
    row, key = _changeable(tx, call), call.path["key"]
    if key not in row.extra_specs:
        raise _no_such(row, key)
    _write(tx, row, {name: value for name, value in row.extra_specs.items() if name != key})


def _changeable(tx: Transaction, call: Call) -> Any:
    row = _load(tx, call)
    if operations.in_use(tx, row.id):
        raise BadRequest("Volume Type is currently in use.", kind="VolumeTypeInUse")
    return row


def _write(tx: Transaction, row: Any, wanted: Mapping[str, str]) -> None:
    if wanted.get("multiattach") == TRUE and wanted.get("cacheable") == TRUE:
        raise BadRequest("cacheable cannot be set with multiattach.")
    rows.update(tx, volume_types, row.id, extra_specs=dict(wanted))
    timeline.record(tx, operations.KIND, row.id, "extra specs changed")


_ALL = "/v3/types/{type_id}/extra_specs"
_ONE = f"{_ALL}/{{key}}"
_RULE = "volume_extension:types_extra_specs"

ROUTES = (
    Route("GET", _ALL, list_, f"{_RULE}:index"),
    Route("POST", _ALL, create, f"{_RULE}:create", body=NewSpecs),
    Route("GET", _ONE, show, f"{_RULE}:show"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=_one_spec, schema=dict[SpecKey, Text | None]),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", status=202),
)

POLICIES = (
    Rule(f"{_RULE}:index", READER, "List a volume type's extra specs."),
    Rule(f"{_RULE}:show", READER, "See one extra spec of a volume type."),
    Rule(f"{_RULE}:create", ADMIN, "Give a volume type extra specs."),
    Rule(f"{_RULE}:update", ADMIN, "Change one extra spec of a volume type."),
    Rule(f"{_RULE}:delete", ADMIN, "Delete one extra spec of a volume type."),
    Rule(f"{_RULE}:read_sensitive", ADMIN, "See extra specs that tell how the cloud is made."),
)
