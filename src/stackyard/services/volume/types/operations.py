"""Volume types: list, see, make, change, delete."""

from __future__ import annotations

import ast
import re
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType, field
from sqlalchemy import bindparam

from stackyard.core import ids, quota, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField
from stackyard.core.microversion import Microversion
from stackyard.core.paging import EVERYTHING, Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, rows
from stackyard.services.volume.bootstrap import DEFAULT_TYPE
from stackyard.services.volume.fields import Description, Flag, Name, Specs, flag, specs, truth
from stackyard.services.volume.rules import ADMIN, MEMBER, READER
from stackyard.services.volume.tables import default_volume_types, groups, volume_types, volumes
from stackyard.services.volume.types import finding, views

KIND = "volume_type"

_DEFAULTS = sa.select(default_volume_types.c.project_id).where(
    default_volume_types.c.volume_type_id == bindparam("key")
)
_USED = sa.select(volumes.c.id).where(volumes.c.volume_type_id == bindparam("key")).limit(1)
_GROUPS = sa.select(groups.c.volume_type_ids)
_ADD = sa.insert(volume_types)
_FORGET_LIMITS = sa.delete(quota.limits).where(quota.limits.c.resource.in_(bindparam("names", expanding=True)))

_SCOPES = {None: EVERYTHING, False: Scope("private", sa.not_(volume_types.c.is_public))}
_SPEC = re.compile(r"[a-zA-Z0-9-_:. /]{1,255}", re.ASCII)
LISTING = Listing(
    volume_types,
    {},
    sort_keys=("id", "name", "created_at", "updated_at", "description", "is_public", "qos_specs_id"),
    default_sort=(("created_at", "desc"),),
    others=("is_public", "extra_specs"),
)


class NewType(Body, kw_only=True):
    """POST /types."""

    name: Name
    description: Description | None = None
    extra_specs: Specs = field(default_factory=dict)
    is_public: Flag = field(default=True, name="os-volume-type-access:is_public")


class ChangedType(Body, kw_only=True):
    """PUT /types/{type_id}."""

    name: Name | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    is_public: Flag | UnsetType = UNSET


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types: those that the caller's project may use; an administrator may ask for private ones."""
    scope = _scope(call)
    asked = call.query.get("extra_specs")
    if asked is not None and (call.caller.is_admin or call.since(3, 52)):
        wanted = _wanted(asked)
        hidden = set(wanted) - set(views.USER_VISIBLE)
        if hidden and not call.allows("volume_extension:types_extra_specs:read_sensitive"):
            return {"volume_types": []}
        scope = _with_specs(scope, wanted)
    found = lists.find(tx, call, LISTING, "types", scope, strict=Microversion(3, 52))
    return found.answer("volume_types", [views.full(call, row) for row in found.rows], "volume_type_links")


def _scope(call: Call) -> Scope:
    public: bool | None = True
    text = call.query.get("is_public")
    if call.caller.is_admin and text is not None:
        public = None if text.lower() == "none" else flag("is_public", text)
    if public:
        return Scope("usable", finding.VISIBLE, {"project": call.caller.project_id})
    return _SCOPES[public]


def _wanted(text: str) -> dict[str, str]:
    try:
        found = ast.literal_eval(text[:4096])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict) or len(found) > 32:
        raise InvalidField("extra_specs", "it is not a mapping such as {'key': 'value'}")
    for key, value in found.items():
        if not isinstance(key, str) or not _SPEC.fullmatch(key) or not isinstance(value, str):
            raise InvalidField("extra_specs", f"'{str(key)[:80]}' and its value are not the texts of an extra spec")
    return found


def _with_specs(scope: Scope, wanted: dict[str, str]) -> Scope:
    column = volume_types.c.extra_specs
    clauses = [] if scope.where is None else [scope.where]
    clauses += [column[key].as_string() == bindparam(f"spec_{at}") for at, key in enumerate(wanted)]
    values = {f"spec_{at}": value for at, value in enumerate(wanted.values())}
    return Scope(f"{scope.name} {sorted(wanted)}", sa.and_(*clauses), {**scope.parameters, **values})


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}, or `default`: the one that the caller's project uses when it asks for none."""
    type_id = call.path["type_id"]
    if type_id == "default":
        row = finding.default(tx, call.caller.project_id or "")
    else:
        row = finding.find_by_id(tx, call.caller, type_id)
    return {"volume_type": views.full(call, row)}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /types; raises VolumeTypeExists."""
    body: NewType = call.body
    name = body.name.strip()
    _require_free(tx, name)
    row = {
        "id": ids.new_uuid(), "name": name, "description": body.description, "is_public": truth(body.is_public),
        "extra_specs": specs(body.extra_specs), "qos_specs_id": None, "encryption": None, "created_at": tx.now,
        "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD, row)
    timeline.record(tx, KIND, str(row["id"]), "created")
    made = finding.row(tx, str(row["id"]))
    return {"volume_type": views.brief(made) | views.access(call, made)}


def _require_free(tx: Transaction, name: str) -> None:
    if finding.by_name(tx, name) is not None:
        raise Conflict(f"Volume Type {name} already exists.", kind="VolumeTypeExists")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /types/{type_id}."""
    body: ChangedType = call.body
    values = {name: value for name, value in body.given() if value is not None}
    if not values:
        raise BadRequest("Specify volume type name, description, is_public or a combination thereof.")
    row = finding.find_by_id(tx, call.caller, call.path["type_id"])
    if "name" in values:
        values["name"] = values["name"].strip()
        if values["name"] != row.name:
            _require_free(tx, values["name"])
    if "is_public" in values:
        values["is_public"] = truth(values["is_public"])
    rows.update(tx, volume_types, row.id, **values)
    timeline.record(tx, KIND, row.id, "changed")
    return {"volume_type": views.brief(finding.row(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /types/{type_id}; not one that volumes or groups are of, nor one that is anybody's default."""
    row = finding.find_by_id(tx, call.caller, call.path["type_id"])
    if row.name == DEFAULT_TYPE or tx.first(_DEFAULTS, {"key": row.id}) is not None:
        raise BadRequest(
            f"The volume type {row.id} is a default volume type and cannot be deleted.",
            kind="VolumeTypeDefaultDeletionError",
        )
    if in_use(tx, row.id) or any(row.id in group.volume_type_ids for group in tx.all(_GROUPS)):
        raise BadRequest("Target volume type is still in use.", kind="VolumeTypeInUse")
    rows.delete(tx, volume_types, row.id)
    tx.execute(_FORGET_LIMITS, {"names": [f"volume.{what}:{row.id}" for what in ("volumes", "gigabytes", "snapshots")]})
    timeline.record(tx, KIND, row.id, "deleted")


def in_use(tx: Transaction, type_id: str) -> bool:
    """Whether there is a volume of this type."""
    return tx.first(_USED, {"key": type_id}) is not None


_ONE = "/v3/types/{type_id}"
_X = "volume_extension:"

ROUTES = (
    Route("GET", "/v3/types", list_, f"{_X}type_get_all", query=LISTING.parameters),
    Route("POST", "/v3/types", create, f"{_X}type_create", body=NewType, envelope="volume_type"),
    Route("GET", _ONE, show, f"{_X}type_get"),
    Route("PUT", _ONE, update, f"{_X}type_update", body=ChangedType, envelope="volume_type"),
    Route("DELETE", _ONE, delete, f"{_X}type_delete", status=202),
)

POLICIES = (
    Rule(f"{_X}type_create", ADMIN, "Create a volume type."),
    Rule(f"{_X}type_update", ADMIN, "Change a volume type."),
    Rule(f"{_X}type_delete", ADMIN, "Delete a volume type."),
    Rule(f"{_X}type_get", READER, "See a volume type."),
    Rule(f"{_X}type_get_all", READER, "List volume types."),
    Rule(f"{_X}access_types_extra_specs", READER, "See extra specs with a volume type."),
    Rule(f"{_X}access_types_qos_specs_id", ADMIN, "See with a volume type which QoS specs it has."),
    Rule(f"{_X}volume_type_access", MEMBER, "See whether a volume type is for everybody."),
)
