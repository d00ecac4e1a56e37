"""Groups and their snapshots over HTTP: list, see, make, change, delete."""

from __future__ import annotations

from typing import Any

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.volume import group_types, lists, rows
from stackyard.services.volume.fields import flag, truth
from stackyard.services.volume.groups import bodies, changing, creation, finding, snapshots
from stackyard.services.volume.tables import group_snapshots, groups

STATUSES = ("error", "available", "creating", "deleting", "updating", "error_deleting")

_g, _s = groups.c, group_snapshots.c
GROUPS = Listing(
    groups,
    {
        "name": Filter(_g.name),
        "status": Filter(_g.status),
        "group_type_id": Filter(_g.group_type_id),
        "id": Filter(_g.id),
        "project_id": Filter(_g.project_id),
    },
    sort_keys=("id", "name", "status", "group_type_id", "created_at", "updated_at", "availability_zone"),
    default_sort=(("created_at", "desc"),),
    others=("list_volume",),
)
SNAPSHOTS = Listing(
    group_snapshots,
    {
        "name": Filter(_s.name),
        "status": Filter(_s.status),
        "group_id": Filter(_s.group_id),
        "group_type_id": Filter(_s.group_type_id),
        "id": Filter(_s.id),
        "project_id": Filter(_s.project_id),
    },
    sort_keys=("id", "name", "status", "group_id", "group_type_id", "created_at", "updated_at"),
    default_sort=(("created_at", "desc"),),
)
OWN_GROUPS, OWN_SNAPSHOTS = lists.Owned(_g.project_id), lists.Owned(_s.project_id)


def _modern(tx: Transaction, column: Any, scope: Scope) -> Scope:
    """Without consistency groups, which have lists of their own."""
    kind = group_types.legacy(tx)
    if kind is None:
        return scope
    clause = column != kind.id
    where = clause if scope.where is None else scope.where & clause
    return Scope(f"modern {scope.name} {kind.id}", where, scope.parameters)


def _page(tx: Transaction, call: Call, path: str) -> lists.Found:
    scope = _modern(tx, _g.group_type_id, OWN_GROUPS.scope(call))
    return lists.find(tx, call, GROUPS, path, scope)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /groups."""
    found = _page(tx, call, "groups")
    return found.answer("groups", [_brief(row) for row in found.rows], "group_links")


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /groups/detail."""
    found = _page(tx, call, "groups/detail")
    return found.answer("groups", [_full(tx, call, row) for row in found.rows], "group_links")


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /groups/{group_id}."""
    _require_modern(tx, call.target)
    return {"group": _full(tx, call, call.target)}


def _require_modern(tx: Transaction, row: Any) -> None:
    creation.require_modern(group_types.row(tx, row.group_type_id))


def _brief(row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name}


def _full(tx: Transaction, call: Call, row: Any) -> dict[str, Any]:
    found = _brief(row) | {
        "status": row.status,
        "availability_zone": row.availability_zone,
        "created_at": iso_naive(row.created_at),
        "description": row.description,
        "group_type": row.group_type_id,
        "volume_types": row.volume_type_ids,
    }
    if call.since(3, 14):
        found |= {"group_snapshot_id": row.group_snapshot_id, "source_group_id": row.source_group_id}
    if call.since(3, 25) and flag("list_volume", call.query.get("list_volume") or "false"):
        found["volumes"] = [one.id for one in finding.volumes_of(tx, row.id)]
    if call.since(3, 38):
        found["replication_status"] = row.replication_status
    if call.since(3, 58) and call.allows("group:group_project_attribute", row):
        found["project_id"] = row.project_id
    return found


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /groups."""
    return {"group": _brief(creation.create(tx, call, call.body))}


def copy(tx: Transaction, call: Call, body: bodies.Copy) -> dict[str, Any]:
    """POST /groups/action, create-from-src (3.14)."""
    return {"group": _brief(creation.copy(tx, call, body))}


def update(tx: Transaction, call: Call) -> None:
    """PUT /groups/{group_id}."""
    _require_modern(tx, call.target)
    changing.update(tx, call, call.target, call.body)


def delete(tx: Transaction, call: Call, body: bodies.Deletion) -> None:
    """POST /groups/{group_id}/action, delete."""
    _require_modern(tx, call.target)
    changing.delete(tx, call, call.target, with_volumes=truth(body.delete_volumes))


def reset_status(tx: Transaction, call: Call, body: bodies.Reset) -> None:
    """POST /groups/{group_id}/action, reset_status (3.20)."""
    rows.update(tx, groups, call.target.id, status=_status(body))
    timeline.record(tx, creation.KIND, call.target.id, "status reset", body.status)


def _status(body: bodies.Reset) -> str:
    status = body.status.strip().lower()
    if status not in STATUSES:
        raise InvalidField("reset_status.status", f"'{status}' is none of {', '.join(STATUSES)}")
    return status


def replication(tx: Transaction, call: Call, body: Any) -> None:
    """Enabling, disabling, failing over, listing targets (3.38): no group type here has replication."""
    del tx, body
    raise BadRequest(
        f"Invalid group type: Group {call.target.id} is not a replication group type.", kind="InvalidGroupType"
    )


def list_snapshots(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_snapshots."""
    return _snapshots(tx, call, "group_snapshots", _brief)


def detail_snapshots(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_snapshots/detail."""
    return _snapshots(tx, call, "group_snapshots/detail", lambda row: _full_snapshot(call, row))


def _snapshots(tx: Transaction, call: Call, path: str, view: Any) -> dict[str, Any]:
    scope = _modern(tx, _s.group_type_id, OWN_SNAPSHOTS.scope(call))
    found = lists.find(tx, call, SNAPSHOTS, path, scope)
    return found.answer("group_snapshots", [view(row) for row in found.rows], "group_snapshot_links")


def _full_snapshot(call: Call, row: Any) -> dict[str, Any]:
    found = _brief(row) | {
        "group_id": row.group_id,
        "group_type_id": row.group_type_id,
        "status": row.status,
        "created_at": iso_naive(row.created_at),
        "description": row.description,
    }
    if call.since(3, 58) and call.allows("group:group_snapshot_project_attribute", row):
        found["project_id"] = row.project_id
    return found


def show_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /group_snapshots/{group_snapshot_id}."""
    _require_modern(tx, call.target)
    return {"group_snapshot": _full_snapshot(call, call.target)}


def create_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /group_snapshots."""
    group = finding.find(tx, call.caller, call.body.group_id)
    call.require("group:create_group_snapshot", group)
    _require_modern(tx, group)
    row = snapshots.create(tx, call, group, call.body)
    return {"group_snapshot": _brief(row) | {"group_type_id": row.group_type_id}}


def delete_snapshot(tx: Transaction, call: Call) -> None:
    """DELETE /group_snapshots/{group_snapshot_id}."""
    _require_modern(tx, call.target)
    snapshots.delete(tx, call, call.target)


def reset_snapshot_status(tx: Transaction, call: Call, body: bodies.Reset) -> None:
    """POST /group_snapshots/{group_snapshot_id}/action, reset_status (3.19)."""
    rows.update(tx, group_snapshots, call.target.id, status=_status(body))
    timeline.record(tx, snapshots.KIND, call.target.id, "status reset", body.status)
