"""A server's volumes (os-volume_attachments). Attaching is refused until there is a volume service (../volumes.py)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists, volumes
from stackyard.services.compute.rules import MEMBER, READER, SERVICE
from stackyard.services.compute.servers import fields, finding, tasks
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.compute.tables import block_devices

_b = block_devices.c
_ALL = (
    sa.select(block_devices)
    .where(_b.server_id == bindparam("server"), _b.volume_id.is_not(None))
    .order_by(_b.created_at, _b.id)
)
_CHANGEABLE = (
    VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED, VmState.RESIZED, VmState.SOFT_DELETED, VmState.SHELVED,
    VmState.SHELVED_OFFLOADED,
)  # fmt: skip


class NewAttachment(Body):
    """POST: what stands under volumeAttachment."""

    volumeId: str  # noqa: N815 (the API's name)
    device: str | UnsetType | None = UNSET
    tag: str | UnsetType = UNSET
    delete_on_termination: bool | str | UnsetType = UNSET


class AttachmentChanges(Body):
    """PUT: what stands under volumeAttachment."""

    volumeId: str  # noqa: N815
    id: str | UnsetType = UNSET
    device: str | UnsetType = UNSET
    serverId: str | UnsetType = UNSET  # noqa: N815
    tag: str | UnsetType = UNSET
    delete_on_termination: bool | str | UnsetType = UNSET


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-volume_attachments."""
    lists.query_of(call, ("limit", "offset"), strict=call.since(2, 75))
    rows = lists.offset_page(call, tx.all(_ALL, {"server": call.target.id}))
    return {"volumeAttachments": [_view(call, row) for row in rows]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-volume_attachments/{volume_id}."""
    finding.refuse_query(call)
    return {"volumeAttachment": _view(call, _find(tx, call))}


def _find(tx: Transaction, call: Call) -> Any:
    for row in tx.all(_ALL, {"server": call.target.id}):
        if row.volume_id == call.path["volume_id"]:
            return row
    raise NotFound(f"No volume Block Device Mapping with id {call.path['volume_id'][:80]}.", kind="VolumeBDMNotFound")


def _view(call: Call, row: Any) -> dict[str, Any]:
    found: dict[str, Any] = {} if call.since(2, 89) else {"id": row.volume_id}
    found |= {"volumeId": row.volume_id, "serverId": row.server_id}
    if row.device_name:
        found["device"] = row.device_name
    if call.since(2, 70):
        found["tag"] = row.tag
    if call.since(2, 79):
        found["delete_on_termination"] = row.delete_on_termination
    if call.since(2, 89):
        found |= {"attachment_id": row.attachment_id, "bdm_uuid": row.id}
    return found


def create(tx: Transaction, call: Call) -> None:
    """POST .../os-volume_attachments."""
    del tx
    server, body = call.target, call.body
    fields.check_uuid("volumeAttachment.volumeId", body.volumeId)
    if body.tag is not UNSET:
        if not call.since(2, 49):
            raise InvalidField("volumeAttachment", "Additional properties are not allowed ('tag' was unexpected)")
        fields.check_tag("volumeAttachment.tag", body.tag)
    if body.delete_on_termination is not UNSET:
        if not call.since(2, 79):
            unexpected = "Additional properties are not allowed ('delete_on_termination' was unexpected)"
            raise InvalidField("volumeAttachment", unexpected)
        fields.read_flag("volumeAttachment.delete_on_termination", body.delete_on_termination)
    tasks.require_unlocked(call, server, "attach_volume")
    require(server, "attach_volume", _CHANGEABLE, tasks=None)
    volumes.refuse_attach(body.volumeId)


def update(tx: Transaction, call: Call) -> None:
    """PUT .../os-volume_attachments/{volume_id}."""
    fields.check_uuid("volumeAttachment.volumeId", call.body.volumeId)
    if call.body.volumeId != call.path["volume_id"]:
        call.require(f"{_RULE}swap", call.target)
    _find(tx, call)
    volumes.refuse_attach(call.body.volumeId)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE .../os-volume_attachments/{volume_id}."""
    tasks.require_unlocked(call, call.target, "detach_volume")
    row = _find(tx, call)
    volumes.refuse_attach(row.volume_id)


_PATH = "/v2.1/servers/{server_id}/os-volume_attachments"
_ONE = f"{_PATH}/{{volume_id}}"
_RULE = "os_compute_api:os-volumes-attachments:"
_ENVELOPE = "volumeAttachment"

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}index", target=finding.load),
    Route("POST", _PATH, create, f"{_RULE}create", target=finding.load, body=NewAttachment, envelope=_ENVELOPE),
    Route("GET", _ONE, show, f"{_RULE}show", target=finding.load),
    Route("PUT", _ONE, update, f"{_RULE}update", target=finding.load, body=AttachmentChanges, envelope=_ENVELOPE),
    Route("DELETE", _ONE, delete, f"{_RULE}delete", target=finding.load, status=202),
)

POLICIES = (
    Rule(f"{_RULE}index", READER, "See a server's volumes."),
    Rule(f"{_RULE}show", READER, "See one of a server's volumes."),
    Rule(f"{_RULE}create", MEMBER, "Give a server a volume."),
    Rule(f"{_RULE}update", MEMBER, "Change how a server has a volume."),
    Rule(f"{_RULE}swap", SERVICE, "Put another volume in the place of a server's."),
    Rule(f"{_RULE}delete", MEMBER, "Take a volume from a server."),
)
