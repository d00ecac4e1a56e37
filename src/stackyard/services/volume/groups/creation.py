"""Making a group: empty, or of another one's volumes, or of a group's snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.volume import group_types, scheduler, statuses, zones
from stackyard.services.volume.bootstrap import LEGACY_GROUP_TYPE
from stackyard.services.volume.fields import stripped
from stackyard.services.volume.groups import bodies, finding
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.scheduler import NoValidBackend, Place
from stackyard.services.volume.tables import groups
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import creation as volume_creation

KIND = "volume_group"
_ADD = sa.insert(groups)


def create(tx: Transaction, call: Call, body: bodies.NewGroup) -> Any:
    """A new group without volumes; its row. Without any back end for it, it is in `error`."""
    kind = group_types.find(tx, call.caller, body.group_type)
    require_modern(kind)
    named = [types.find(tx, call.caller, name) for name in body.volume_types]
    return add(tx, call, kind, {one.id: one for one in named}, body)


def require_modern(kind: Any) -> None:
    """Raise BadRequest for the group type of consistency groups."""
    if kind is not None and kind.name == LEGACY_GROUP_TYPE:
        raise BadRequest(
            f"Group_type {kind.id} is reserved for migrating CGs to groups. Migrated group can only be operated by CG "
            "APIs."
        )


def add(
    tx: Transaction, call: Call, kind: Any, of_types: Mapping[str, Any], body: bodies.NewGroup, **columns: Any
) -> Any:
    """The row of a new group of this group type for volumes of these types; raises GroupLimitExceeded, InvalidInput."""
    zone = body.availability_zone or call.runtime.settings.volume.availability_zone
    if body.availability_zone and zone not in zones.available(tx):
        raise InvalidField("availability_zone", f"Availability zone '{zone}' is invalid")
    place = _place(tx, call, kind, list(of_types.values()), zone)
    row = _row(tx, call, kind, of_types, body, zone) | columns
    if isinstance(place, Place):
        row |= {"host": place.host, "backend": place.backend}
    else:
        row["status"] = statuses.ERROR
    return _insert(tx, call, row, place if isinstance(place, str) else "")


def _place(tx: Transaction, call: Call, kind: Any, of_types: Sequence[Any], zone: str) -> Place | str:
    wanted: dict[str, str] = {}
    for one in of_types:
        wanted |= one.extra_specs
    # a group that does not ask for something may well be where it can be had
    wanted |= {key: value for key, value in kind.group_specs.items() if value != "<is> False"}
    try:
        return scheduler.place(tx, call.runtime, 0, zone, SimpleNamespace(extra_specs=wanted))
    except NoValidBackend as error:
        return str(error)


def _row(
    tx: Transaction, call: Call, kind: Any, of_types: Mapping[str, Any], body: bodies.NewGroup | bodies.Copy, zone: str
) -> dict[str, Any]:
    if call.caller.project_id is None:
        raise BadRequest("Invalid input received: a group is made in a project; use a token of one.")
    return {
        "id": ids.new_uuid(), "project_id": call.caller.project_id, "user_id": call.caller.user_id,
        "name": stripped(body.name), "description": stripped(body.description), "group_type_id": kind.id,
        "volume_type_ids": list(of_types), "availability_zone": zone, "group_snapshot_id": None,
        "source_group_id": None, "replication_status": "disabled", "host": None, "backend": None,
        "status": statuses.CREATING, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip


def _insert(tx: Transaction, call: Call, row: Mapping[str, Any], why: str) -> Any:
    usage.reserve_groups(tx, call.runtime, row["project_id"], 1)
    tx.execute(_ADD, row)
    timeline.record(tx, KIND, row["id"], "create asked", why)
    reconcile.mark(tx, KIND, row["id"])
    return finding.by_id(tx, row["id"])


def copy(tx: Transaction, call: Call, body: bodies.Copy) -> Any:
    """A group of new volumes that begin as another group's are, or as its snapshot is."""
    if bool(body.group_snapshot_id) == bool(body.source_group_id):
        raise BadRequest("Invalid input for create-from-src: give one of group_snapshot_id and source_group_id.")
    if body.group_snapshot_id:
        taken = finding.find_snapshot(tx, call.caller, body.group_snapshot_id)
        source = finding.by_id(tx, taken.group_id)
        sources = [{"snapshot_id": one.id, "name": one.name} for one in finding.members_of(tx, taken.id)]
        _require_ready(taken, "Group snapshot")
    else:
        source = finding.find(tx, call.caller, str(body.source_group_id))
        sources = [{"source_volid": one.id, "name": one.name} for one in finding.volumes_of(tx, source.id)]
        _require_ready(source, "Group")
    if not sources:
        raise _invalid("Source has no volumes: there is nothing to make the group from.")
    call.require("group:create", {"project_id": call.caller.project_id})
    kind = group_types.row(tx, source.group_type_id)
    row = _row(tx, call, kind, dict.fromkeys(source.volume_type_ids), body, source.availability_zone) | {
        "group_snapshot_id": body.group_snapshot_id, "source_group_id": body.source_group_id, "host": source.host,
        "backend": source.backend,
    }  # fmt: skip
    made = _insert(tx, call, row, f"from {body.group_snapshot_id or body.source_group_id}")
    for wanted in sources:
        volume_creation.create(tx, call.runtime, call.caller, volume_creation.Request(group=made, **wanted))
    return made


def _require_ready(row: Any, what: str) -> None:
    if row.status != statuses.AVAILABLE:
        raise _invalid(f"{what} {row.id} status must be available, but current status is: {row.status}.")


def _invalid(reason: str) -> BadRequest:
    return BadRequest(f"Invalid Group: {reason}", kind="InvalidGroup")
