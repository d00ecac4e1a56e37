"""Volumes: create, show, change, delete."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.services.image import api as image_api
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.fields import stripped, truth, whole
from stackyard.services.volume.tables import groups
from stackyard.services.volume.volumes import bodies, creation, deletion, finding, sources, views

_GROUP = sa.select(groups).where(groups.c.id == bindparam("key"))


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /volumes."""
    given = convert(call.body.volume, bodies.new_volume(call.microversion), "volume")
    if given.multiattach is not None and truth(given.multiattach):
        raise BadRequest(
            "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. "
            "Contact your administrator to create a multiattach enabled volume type and use it to create multiattach "
            "volumes."
        )
    hints = call.body.hints or {}
    convert(hints, bodies.HintsBody, "OS-SCH-HNT:scheduler_hints")
    request = creation.Request(
        size=None if given.size is None else whole("volume.size", given.size, least=1),
        name=_first(given.name, given.display_name),
        description=_first(given.description, given.display_description),
        volume_type=given.volume_type or None,
        availability_zone=given.availability_zone,
        source_volid=given.source_volid,
        backup_id=getattr(given, "backup_id", None),
        metadata=given.metadata or {},
        hints=hints,
        group=_group(tx, call, getattr(given, "group_id", None) or given.consistencygroup_id),
        **({"snapshot_id": given.snapshot_id} | _image(tx, call, _first(given.image_ref, given.image_id))),
    )
    call.require("volume:create_from_image" if request.image_id else "volume:create")
    row = creation.create(tx, call.runtime, call.caller, request)
    if row.multiattach:
        call.require("volume:multiattach", row)
    return {"volume": views.plain(tx, call, row)}


def _first(*texts: str | None) -> str | None:
    return next((stripped(text) for text in texts if text is not None), None)


def _image(tx: Transaction, call: Call, reference: str | None) -> dict[str, Any]:
    """What an image's id, name or address leads to: an image, or (since 3.46) the snapshot that it stands for."""
    if reference is None:
        return {}
    try:
        last = reference.rpartition("/")[2]
        image = image_api.find_image(tx, call.caller, last if ids.is_uuid(last) else reference)
    except NotFound:
        raise BadRequest("Invalid image identifier or unable to access requested image.") from None
    except Conflict:
        raise Conflict(f"Multiple matches found for '{reference[:255]}', use an ID to be more specific.") from None
    kept = sources.boot_snapshot(image)
    if kept is not None and call.since(3, 46):
        return {"snapshot_id": kept}
    return {"image_id": str(image["id"])}


def _group(tx: Transaction, call: Call, group_id: str | None) -> Any:
    if not group_id:
        return None
    row = tx.first(_GROUP, {"key": group_id}) if ids.is_uuid(group_id) else None
    if row is None or (row.project_id != call.caller.project_id and not call.caller.is_admin):
        raise not_found("Group", group_id[:80])
    if row.status not in (statuses.AVAILABLE, statuses.CREATING):
        raise BadRequest(
            f"Invalid Group: Originating group status must be one of 'available, creating' values; it is {row.status}",
            kind="InvalidGroup",
        )
    return row


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /volumes/{volume_id}."""
    return {"volume": views.details(tx, call, [call.target])[0]}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /volumes/{volume_id}: name, description, metadata."""
    row, given = call.target, call.body
    if call.since(3, 53) and not any(True for _ in given.given()):
        raise BadRequest("Invalid input for volume: it needs name, description or metadata.")
    require_not_in_maintenance(row, "updated")
    columns: dict[str, Any] = {}
    for name, older in (("name", "display_name"), ("description", "display_description")):
        for field in (older, name):
            value = getattr(given, field)
            if value is not UNSET:
                columns[name] = stripped(value)
    if given.metadata is not UNSET:
        columns["metadata"] = dict(given.metadata)
    if columns:
        tasks.update(tx, row.id, **columns)
        timeline.record(tx, tasks.VOLUME, row.id, "updated", ", ".join(columns))
    return {"volume": views.plain(tx, call, finding.by_id(tx, row.id))}


def require_not_in_maintenance(row: Any, done: str) -> None:
    """Raise BadRequest (InvalidVolume) when nothing may be done to the volume."""
    if row.status == statuses.MAINTENANCE:
        raise BadRequest(f"Invalid volume: The volume cannot be {done} during maintenance.", kind="InvalidVolume")


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /volumes/{volume_id}: with `cascade` its snapshots too, with `force` (3.23) whatever its status."""
    force = call.since(3, 23) and call.query.boolean("force")
    if force:
        call.require("volume:force_delete", call.target)
    cascade = call.query.boolean("cascade")
    deletion.delete(tx, call.runtime, call.target, caller=call.caller, force=force, cascade=cascade)
    return Reply(status=202)
