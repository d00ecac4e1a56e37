"""Consistency groups and their snapshots: groups of one group type, in the words of before 3.13."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType, field

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Scope
from stackyard.core.routes import Route
from stackyard.services.volume import group_types, lists
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.fields import Description, Flag, Text, truth
from stackyard.services.volume.groups import bodies, changing, creation, finding, operations, snapshots
from stackyard.services.volume.tables import group_snapshots, groups
from stackyard.services.volume.types import finding as types


class New(OpenBody, kw_only=True):
    """POST /consistencygroups: types with commas between them."""

    volume_types: bodies.Ids
    name: Text | None = None
    description: Description | None = None
    availability_zone: Text | None = None


class Copy(OpenBody, kw_only=True):
    """POST /consistencygroups/create_from_src."""

    name: Text | None = None
    description: Description | None = None
    cgsnapshot_id: Text | None = None
    source_cgid: Text | None = None


class Changed(OpenBody, kw_only=True):
    """PUT /consistencygroups/{group_id}/update."""

    name: Text | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    add_volumes: bodies.Ids | UnsetType | None = UNSET
    remove_volumes: bodies.Ids | UnsetType | None = UNSET


class Force(OpenBody, kw_only=True):
    """What POST /consistencygroups/{group_id}/delete says."""

    force: Flag = False


class Deletion(OpenBody, kw_only=True):
    """POST /consistencygroups/{group_id}/delete."""

    consistencygroup: Force = field(default_factory=Force)


class NewSnapshot(OpenBody, kw_only=True):
    """POST /cgsnapshots."""

    consistencygroup_id: Text
    name: Text | None = None
    description: Description | None = None


def _kind(tx: Transaction) -> Any:
    kind = group_types.legacy(tx)
    if kind is None:
        raise BadRequest("The group type of consistency groups has been deleted: use groups instead.")
    return kind


def load(tx: Transaction, call: Call) -> Any:
    """The consistency group that the address names; raises GroupNotFound."""
    row = finding.load(tx, call)
    if row.group_type_id != _kind(tx).id:
        raise not_found("Group", row.id)
    return row


def load_snapshot(tx: Transaction, call: Call) -> Any:
    """The snapshot of a consistency group that the address names; raises GroupSnapshotNotFound."""
    row = finding.load_snapshot(tx, call)
    if row.group_type_id != _kind(tx).id:
        raise not_found("GroupSnapshot", row.id)
    return row


def _scope(tx: Transaction, column: Any, owned: Scope) -> Scope:
    kind = _kind(tx)
    clause = column == kind.id
    where = clause if owned.where is None else owned.where & clause
    return Scope(f"legacy {owned.name} {kind.id}", where, owned.parameters)


def _brief(row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name}


def _full(row: Any) -> dict[str, Any]:
    return _brief(row) | {
        "status": row.status,
        "availability_zone": row.availability_zone,
        "created_at": iso_naive(row.created_at),
        "description": row.description,
        "volume_types": row.volume_type_ids,
    }


def _full_snapshot(row: Any) -> dict[str, Any]:
    return _brief(row) | {
        "consistencygroup_id": row.group_id,
        "status": row.status,
        "created_at": iso_naive(row.created_at),
        "description": row.description,
    }


def _list(path: str, view: Any) -> Any:
    def list_(tx: Transaction, call: Call) -> dict[str, Any]:
        scope = _scope(tx, groups.c.group_type_id, operations.OWN_GROUPS.scope(call))
        found = lists.find(tx, call, operations.GROUPS, path, scope)
        return found.answer("consistencygroups", [view(row) for row in found.rows], "consistencygroup_links")

    list_.__doc__ = f"GET /{path}."
    return list_


def _list_snapshots(path: str, view: Any) -> Any:
    def list_(tx: Transaction, call: Call) -> dict[str, Any]:
        scope = _scope(tx, group_snapshots.c.group_type_id, operations.OWN_SNAPSHOTS.scope(call))
        found = lists.find(tx, call, operations.SNAPSHOTS, path, scope)
        return {"cgsnapshots": [view(row) for row in found.rows]}

    list_.__doc__ = f"GET /{path}."
    return list_


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /consistencygroups/{group_id}."""
    del tx
    return {"consistencygroup": _full(call.target)}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /consistencygroups."""
    body: New = call.body
    names = [name.strip() for name in body.volume_types.split(",") if name.strip()]
    if not names:
        raise BadRequest("volume_types must be provided to create consistency group.")
    of_types = {one.id: one for one in (types.find(tx, call.caller, name) for name in names)}
    wanted = bodies.NewGroup(
        group_type="", volume_types=names, name=body.name, description=body.description,
        availability_zone=body.availability_zone,
    )  # fmt: skip
    return {"consistencygroup": _brief(creation.add(tx, call, _kind(tx), of_types, wanted))}


def copy(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /consistencygroups/create_from_src."""
    body: Copy = call.body
    if bool(body.cgsnapshot_id) == bool(body.source_cgid):
        raise BadRequest("One, and only one, of 'cgsnapshot_id' and 'source_cgid' must be provided.")
    wanted = bodies.Copy(
        name=body.name, description=body.description, group_snapshot_id=body.cgsnapshot_id or None,
        source_group_id=body.source_cgid or None,
    )  # fmt: skip
    return {"consistencygroup": _brief(creation.copy(tx, call, wanted))}


def update(tx: Transaction, call: Call) -> None:
    """PUT /consistencygroups/{group_id}/update."""
    given = dict(call.body.given())
    if not any(given.values()):
        raise BadRequest("Name, description, add_volumes, and remove_volumes can not be all empty in the request body.")
    changing.update(tx, call, call.target, bodies.ChangedGroup(**given))


def delete(tx: Transaction, call: Call) -> None:
    """POST /consistencygroups/{group_id}/delete: with its volumes when `force`."""
    changing.delete(tx, call, call.target, with_volumes=truth(call.body.consistencygroup.force))


def show_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /cgsnapshots/{group_snapshot_id}."""
    del tx
    return {"cgsnapshot": _full_snapshot(call.target)}


def create_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /cgsnapshots."""
    body: NewSnapshot = call.body
    group = finding.find(tx, call.caller, body.consistencygroup_id)
    call.require("group:create_group_snapshot", group)
    if group.group_type_id != _kind(tx).id:
        raise not_found("Group", group.id)
    wanted = bodies.NewSnapshot(group_id=group.id, name=body.name, description=body.description)
    return {"cgsnapshot": _brief(snapshots.create(tx, call, group, wanted))}


def delete_snapshot(tx: Transaction, call: Call) -> None:
    """DELETE /cgsnapshots/{group_snapshot_id}."""
    snapshots.delete(tx, call, call.target)


_ALL, _SNAPSHOTS = "/v3/consistencygroups", "/v3/cgsnapshots"
_ONE, _SNAPSHOT = f"{_ALL}/{{group_id}}", f"{_SNAPSHOTS}/{{group_snapshot_id}}"

ROUTES = (
    Route("GET", _ALL, _list("consistencygroups", _brief), "group:get_all"),
    Route("GET", f"{_ALL}/detail", _list("consistencygroups/detail", _full), "group:get_all"),
    Route("POST", _ALL, create, "group:create", body=New, envelope="consistencygroup", status=202),
    Route(
        "POST", f"{_ALL}/create_from_src", copy, "group:create", body=Copy, envelope="consistencygroup-from-src",
        status=202,
    ),
    Route("GET", _ONE, show, "group:get", target=load),
    Route(
        "PUT", f"{_ONE}/update", update, "group:update", target=load, body=Changed, envelope="consistencygroup",
        status=202,
    ),
    Route("POST", f"{_ONE}/delete", delete, "group:delete", target=load, body=Deletion, status=202),
    Route("GET", _SNAPSHOTS, _list_snapshots("cgsnapshots", _brief), "group:get_all_group_snapshots"),
    Route(
        "GET", f"{_SNAPSHOTS}/detail", _list_snapshots("cgsnapshots/detail", _full_snapshot),
        "group:get_all_group_snapshots",
    ),
    Route(
        "POST", _SNAPSHOTS, create_snapshot, "group:create_group_snapshot", body=NewSnapshot, envelope="cgsnapshot",
        status=202,
    ),
    Route("GET", _SNAPSHOT, show_snapshot, "group:get_group_snapshot", target=load_snapshot),
    Route("DELETE", _SNAPSHOT, delete_snapshot, "group:delete_group_snapshot", target=load_snapshot, status=202),
)  # fmt: skip
