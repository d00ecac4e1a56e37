"""Group types (3.11): what a group of volumes can do, told by its specs."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.paging import EVERYTHING, Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, rows
from stackyard.services.volume.bootstrap import LEGACY_GROUP_TYPE
from stackyard.services.volume.fields import Description, Flag, Metadata, Name, Text, flag, specs, truth
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import group_type_projects, group_types, groups

KIND = "volume_group_type"
CONSISTENT = "consistent_group_snapshot_enabled"
"""The spec of types whose groups are snapshotted as of one moment."""

_t = group_types.c
_OPEN = sa.exists().where(
    group_type_projects.c.group_type_id == _t.id, group_type_projects.c.project_id == bindparam("project")
)
_VISIBLE = sa.or_(_t.is_public, _OPEN)
_BY_ID = sa.select(group_types).where(_t.id == bindparam("key"))
_BY_NAME = sa.select(group_types).where(_t.name == bindparam("key"))
_USED = sa.select(groups.c.id).where(groups.c.group_type_id == bindparam("key")).limit(1)
_ADD = sa.insert(group_types)

LISTING = Listing(
    group_types,
    {},
    sort_keys=("id", "name", "created_at", "updated_at", "description", "is_public"),
    default_sort=(("created_at", "desc"),),
    others=("is_public",),
)

SpecKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-_:.]{1,255}\Z")]
GroupSpecs = dict[SpecKey, Text | None]


class NewGroupType(Body, kw_only=True):
    """POST /group_types."""

    name: Name
    description: Description | None = None
    is_public: Flag = True
    group_specs: Metadata | None = None


class ChangedGroupType(Body, kw_only=True):
    """PUT /group_types/{group_type_id}."""

    name: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    is_public: Flag | UnsetType = UNSET


class NewSpecs(Body, kw_only=True):
    """POST /group_types/{group_type_id}/group_specs."""

    group_specs: GroupSpecs


OneSpec = Annotated[GroupSpecs, Meta(min_length=1, max_length=1)]


def _one_spec(version: Microversion | None) -> Any:
    del version
    return OneSpec


def find(tx: Transaction, caller: Caller, name_or_id: str, *, by_name: bool = True) -> Any:
    """A group type that the caller may use; raises GroupTypeNotFound (404)."""
    row = tx.first(_BY_ID, {"key": name_or_id})
    if row is None and by_name:
        row = tx.first(_BY_NAME, {"key": name_or_id})
    if row is not None and not (row.is_public or caller.is_admin):
        open_to = sa.select(group_type_projects).where(
            group_type_projects.c.group_type_id == row.id, group_type_projects.c.project_id == caller.project_id
        )
        row = row if tx.first(open_to) is not None else None
    if row is None:
        raise NotFound(f"Group type {name_or_id[:255]} could not be found.", kind="GroupTypeNotFound")
    return row


def row(tx: Transaction, type_id: str) -> Any:
    """A group type's row, whoever asks; None when there is none."""
    return tx.first(_BY_ID, {"key": type_id})


def legacy(tx: Transaction) -> Any:
    """The group type of consistency groups; None when an administrator has deleted it."""
    return tx.first(_BY_NAME, {"key": LEGACY_GROUP_TYPE})


def is_consistent(kind: Any) -> bool:
    """Whether groups of the type are snapshotted as of one moment."""
    return kind is not None and kind.group_specs.get(CONSISTENT) == "<is> True"


def _load(tx: Transaction, call: Call) -> Any:
    return find(tx, call.caller, call.path["group_type_id"], by_name=False)


def _view(call: Call, found: Any) -> dict[str, Any]:
    shown = {"id": found.id, "name": found.name, "description": found.description, "is_public": found.is_public}
    if call.allows("group:access_group_types_specs"):
        shown["group_specs"] = found.group_specs
    return shown


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_types."""
    text = call.query.get("is_public")
    scope = Scope("usable", _VISIBLE, {"project": call.caller.project_id})
    if call.caller.is_admin and text is not None:
        if text.lower() == "none":
            scope = EVERYTHING
        elif not flag("is_public", text):
            scope = Scope("private", sa.not_(_t.is_public))
    found = lists.find(tx, call, LISTING, "group_types", scope)
    return found.answer("group_types", [_view(call, one) for one in found.rows], "group_type_links")


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_types/{group_type_id}; there is no default one."""
    if call.path["group_type_id"] == "default":
        raise NotFound("Default group type can not be found.", kind="GroupTypeNotFound")
    return {"group_type": _view(call, _load(tx, call))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /group_types."""
    body: NewGroupType = call.body
    name = body.name.strip()
    _require_free(tx, name)
    made = {
        "id": ids.new_uuid(), "name": name, "description": body.description, "is_public": truth(body.is_public),
        "group_specs": dict(body.group_specs or {}), "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD, made)
    timeline.record(tx, KIND, str(made["id"]), "created")
    return {"group_type": _view(call, row(tx, str(made["id"])))}


def _require_free(tx: Transaction, name: str) -> None:
    if tx.first(_BY_NAME, {"key": name}) is not None:
        raise Conflict(f"Group Type {name} already exists.", kind="GroupTypeExists")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /group_types/{group_type_id}."""
    body: ChangedGroupType = call.body
    values = {name: value for name, value in body.given() if value is not None}
    if not values:
        raise BadRequest("Specify group type name, description or a combination thereof.")
    found = _load(tx, call)
    if "name" in values:
        values["name"] = values["name"].strip()
        if not values["name"]:
            raise BadRequest("Group type name can not be empty.")
        if values["name"] != found.name:
            _require_free(tx, values["name"])
    if "is_public" in values:
        values["is_public"] = truth(values["is_public"])
    rows.update(tx, group_types, found.id, **values)
    return {"group_type": _view(call, row(tx, found.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /group_types/{group_type_id}; not one that groups are of."""
    found = _load(tx, call)
    if tx.first(_USED, {"key": found.id}) is not None:
        raise BadRequest("Target group type is still in use.", kind="GroupTypeInUse")
    rows.delete(tx, group_types, found.id)
    timeline.record(tx, KIND, found.id, "deleted")


def list_specs(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_types/{group_type_id}/group_specs."""
    return {"group_specs": _load(tx, call).group_specs}


def create_specs(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /group_types/{group_type_id}/group_specs: added to those there are."""
    found = _load(tx, call)
    rows.update(tx, group_types, found.id, group_specs={**found.group_specs, **specs(call.body.group_specs)})
    return {"group_specs": call.body.group_specs}


def show_spec(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_types/{group_type_id}/group_specs/{key}."""
    found, key = _load(tx, call), call.path["key"]
    if key not in found.group_specs:
        raise _no_spec(found, key)
    return {key: found.group_specs[key]}


def _no_spec(found: Any, key: str) -> NotFound:
    return NotFound(f"Group Type {found.id} has no extra spec with key {key[:255]}.", kind="GroupTypeSpecsNotFound")


def update_spec(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /group_types/{group_type_id}/group_specs/{key}."""
    if call.path["key"] not in call.body:
        raise BadRequest("Request body and URI mismatch")
    found = _load(tx, call)
    rows.update(tx, group_types, found.id, group_specs={**found.group_specs, **specs(call.body)})
    return dict(call.body)


def delete_spec(tx: Transaction, call: Call) -> None:
    """DELETE /group_types/{group_type_id}/group_specs/{key}."""
    found, key = _load(tx, call), call.path["key"]
    if key not in found.group_specs:
        raise _no_spec(found, key)
    left = {name: value for name, value in found.group_specs.items() if name != key}
    rows.update(tx, group_types, found.id, group_specs=left)


_SINCE = Microversion(3, 11)
_ALL = "/v3/group_types"
_ONE = f"{_ALL}/{{group_type_id}}"
_SPECS = f"{_ONE}/group_specs"
_SPEC = f"{_SPECS}/{{key}}"
_RULE = "group:group_types"

ROUTES = (
    Route("GET", _ALL, list_, "volume:any", since=_SINCE, query=LISTING.parameters),
    Route("POST", _ALL, create, f"{_RULE}:create", body=NewGroupType, envelope="group_type", status=202, since=_SINCE),
    Route("GET", _ONE, show, "volume:any", since=_SINCE),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=ChangedGroupType, envelope="group_type", since=_SINCE),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", status=202, since=_SINCE),
    Route("GET", _SPECS, list_specs, f"{_RULE}_specs:get_all", since=_SINCE),
    Route("POST", _SPECS, create_specs, f"{_RULE}_specs:create", body=NewSpecs, status=202, since=_SINCE),
    Route("GET", _SPEC, show_spec, f"{_RULE}_specs:get", since=_SINCE),
    Route("PUT", _SPEC, update_spec, f"{_RULE}_specs:update", body=_one_spec, schema=GroupSpecs, since=_SINCE),
    Route("DELETE", _SPEC, delete_spec, f"{_RULE}_specs:delete", status=202, since=_SINCE),
)

POLICIES = (
    Rule(f"{_RULE}:create", ADMIN, "Create a group type."),
    Rule(f"{_RULE}:update", ADMIN, "Change a group type."),
    Rule(f"{_RULE}:delete", ADMIN, "Delete a group type."),
    Rule("group:access_group_types_specs", ADMIN, "See a group type's specs with it."),
    Rule(f"{_RULE}_specs:get_all", ADMIN, "List a group type's specs."),
    Rule(f"{_RULE}_specs:get", ADMIN, "See one spec of a group type."),
    Rule(f"{_RULE}_specs:create", ADMIN, "Give a group type specs."),
    Rule(f"{_RULE}_specs:update", ADMIN, "Change one spec of a group type."),
    Rule(f"{_RULE}_specs:delete", ADMIN, "Delete one spec of a group type."),
)
