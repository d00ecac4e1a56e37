"""Volumes and snapshots until 2.35, which are the volume service's, in the words of Nova's old API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, or_default, or_none
from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Forbidden, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.fields import Flag, MetadataKey, Text, Whole, truth, whole
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.volume import api as volume_api

_BASE = "os_compute_api:os-volumes"
_LAST = Microversion(2, 35)
_VOLUMES = "/v2.1/os-volumes"
_SNAPSHOTS = "/v2.1/os-snapshots"
_OVER_QUOTA = 413


class NewVolume(Body):
    """What stands under `volume`."""

    size: Whole
    volume_type: str | UnsetType = UNSET
    metadata: dict[MetadataKey, Text] | UnsetType = UNSET
    snapshot_id: str | UnsetType = UNSET
    availability_zone: str | UnsetType = UNSET
    display_name: Text | UnsetType = UNSET
    display_description: Text | UnsetType = UNSET


class NewSnapshot(Body):
    """What stands under `snapshot`; with `force` one of a volume that is in use."""

    volume_id: str
    force: Flag | UnsetType = UNSET
    display_name: Text | UnsetType = UNSET
    display_description: Text | UnsetType = UNSET


def _volume(tx: Transaction, row: Any, types: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": row.id, "status": row.status, "size": row.size, "availabilityZone": row.availability_zone,
        "createdAt": iso_naive(row.created_at), "attachments": _attachments(tx, row), "displayName": row.name,
        "displayDescription": row.description, "volumeType": types.get(row.volume_type_id), "snapshotId":
        row.snapshot_id, "metadata": row.metadata,
    }  # fmt: skip


def _attachments(tx: Transaction, row: Any) -> list[dict[str, Any]]:
    for one in volume_api.attachments_of(tx, row.id):
        if one.attach_status == "attached" and one.instance_id:
            device = {"device": one.mountpoint} if one.mountpoint else {}
            return [{"id": row.id, "volumeId": row.id, "serverId": one.instance_id, **device}]
    return [{}]


def _snapshot(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "volumeId": row.volume_id, "status": row.status, "size": row.volume_size,
        "createdAt": iso_naive(row.created_at), "displayName": row.name, "displayDescription": row.description,
    }  # fmt: skip


def list_volumes(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-volumes and /os-volumes/detail: the project's."""
    lists.query_of(call, ("limit", "offset"), strict=False)
    types = volume_api.type_names(tx)
    page = lists.offset_page(call, volume_api.of_project(tx, call.caller.project_id))
    return {"volumes": [_volume(tx, row, types) for row in page]}


def show_volume(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-volumes/{volume_id}."""
    row = volume_api.find(tx, call.caller, call.path["volume_id"])
    return {"volume": _volume(tx, row, volume_api.type_names(tx))}


def create_volume(tx: Transaction, call: Call) -> Reply:
    """POST /os-volumes."""
    body = call.body
    wanted = volume_api.Request(
        size=whole("volume.size", body.size, least=1),
        name=or_none(body.display_name),
        description=or_none(body.display_description),
        volume_type=or_none(body.volume_type),
        availability_zone=or_none(body.availability_zone),
        snapshot_id=or_none(body.snapshot_id),
        metadata=or_default(body.metadata, {}),
    )
    try:
        row = volume_api.create(tx, call.runtime, call.caller, wanted)
    except ApiError as error:
        raise _as_told(error, missing=error.kind == "SnapshotNotFound") from error
    view = _volume(tx, row, volume_api.type_names(tx))
    return Reply({"volume": view}, headers={"Location": call.url(f"{_VOLUMES}/{row.id}")})


def delete_volume(tx: Transaction, call: Call) -> None:
    """DELETE /os-volumes/{volume_id}."""
    volume_api.remove(tx, call.runtime, call.caller, call.path["volume_id"])


def list_snapshots(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-snapshots and /os-snapshots/detail: the project's."""
    lists.query_of(call, ("limit", "offset"), strict=False)
    page = lists.offset_page(call, volume_api.snapshots_of_project(tx, call.caller.project_id))
    return {"snapshots": [_snapshot(row) for row in page]}


def show_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-snapshots/{snapshot_id}."""
    return {"snapshot": _snapshot(volume_api.find_snapshot(tx, call.caller, call.path["snapshot_id"]))}


def create_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-snapshots."""
    body = call.body
    try:
        row = volume_api.snapshot(
            tx, call.runtime, call.caller, body.volume_id, or_none(body.display_name),
            description=or_none(body.display_description), force=body.force is not UNSET and truth(body.force),
        )  # fmt: skip
    except ApiError as error:
        raise _as_told(error, missing=False) from error
    return {"snapshot": _snapshot(row)}


def delete_snapshot(tx: Transaction, call: Call) -> None:
    """DELETE /os-snapshots/{snapshot_id}."""
    volume_api.remove_snapshot(tx, call.runtime, call.caller, call.path["snapshot_id"])


def _as_told(error: ApiError, *, missing: bool) -> ApiError:
    """The fault that Nova makes of the volume service's."""
    if error.status == _OVER_QUOTA:
        return Forbidden(error.message, kind="OverQuota")
    if missing or isinstance(error, Forbidden):
        return NotFound(error.message, kind=error.kind) if missing else error
    return BadRequest(error.message, kind=error.kind)


ROUTES = (
    Route("GET", _VOLUMES, list_volumes, f"{_BASE}:list", until=_LAST),
    Route("POST", _VOLUMES, create_volume, f"{_BASE}:create", body=NewVolume, envelope="volume", until=_LAST),
    Route("GET", f"{_VOLUMES}/detail", list_volumes, f"{_BASE}:detail", until=_LAST),
    Route("GET", f"{_VOLUMES}/{{volume_id}}", show_volume, f"{_BASE}:show", until=_LAST),
    Route("DELETE", f"{_VOLUMES}/{{volume_id}}", delete_volume, f"{_BASE}:delete", until=_LAST, status=202),
    Route("GET", _SNAPSHOTS, list_snapshots, f"{_BASE}:snapshots:list", until=_LAST),
    Route("POST", _SNAPSHOTS, create_snapshot, f"{_BASE}:snapshots:create", body=NewSnapshot, envelope="snapshot",
          until=_LAST),
    Route("GET", f"{_SNAPSHOTS}/detail", list_snapshots, f"{_BASE}:snapshots:detail", until=_LAST),
    Route("GET", f"{_SNAPSHOTS}/{{snapshot_id}}", show_snapshot, f"{_BASE}:snapshots:show", until=_LAST),
    Route("DELETE", f"{_SNAPSHOTS}/{{snapshot_id}}", delete_snapshot, f"{_BASE}:snapshots:delete", until=_LAST,
          status=202),
)  # fmt: skip

POLICIES = (
    Rule(f"{_BASE}:list", READER, "List volumes."),
    Rule(f"{_BASE}:detail", READER, "List volumes with all that they have."),
    Rule(f"{_BASE}:show", READER, "See a volume."),
    Rule(f"{_BASE}:create", MEMBER, "Make a volume."),
    Rule(f"{_BASE}:delete", MEMBER, "Delete a volume."),
    Rule(f"{_BASE}:snapshots:list", READER, "List snapshots."),
    Rule(f"{_BASE}:snapshots:detail", READER, "List snapshots with all that they have."),
    Rule(f"{_BASE}:snapshots:show", READER, "See a snapshot."),
    Rule(f"{_BASE}:snapshots:create", MEMBER, "Make a snapshot."),
    Rule(f"{_BASE}:snapshots:delete", MEMBER, "Delete a snapshot."),
)
