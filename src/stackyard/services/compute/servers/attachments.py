"""A server's volumes (os-volume_attachments)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, or_none
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.rules import MEMBER, READER, SERVICE
from stackyard.services.compute.servers import fields, finding, tasks
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.compute.volumes import attaching, rows
from stackyard.services.volume import api as volume_api

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
    page = lists.offset_page(call, rows.of_server(tx, call.target.id))
    return {"volumeAttachments": [_view(call, row) for row in page if _is_shown(call, row)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-volume_attachments/{volume_id}."""
    finding.refuse_query(call)
    row = _find(tx, call)
    if not _is_shown(call, row):
        raise _unknown(call)
    return {"volumeAttachment": _view(call, row)}


def _is_shown(call: Call, row: Any) -> bool:
    """Since 2.89 an attachment is shown by its id, which that of a volume still being made does not have."""
    return row.attachment_id is not None or not call.since(2, 89)


def _find(tx: Transaction, call: Call) -> Any:
    for row in rows.of_server(tx, call.target.id):
        if row.volume_id == call.path["volume_id"]:
            return row
    raise _unknown(call)


def _unknown(call: Call) -> NotFound:
    return NotFound(
        f"Instance {call.target.id} is not attached to volume {call.path['volume_id'][:80]}", kind="VolumeBDMNotFound"
    )


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


def create(tx: Transaction, call: Call) -> Reply:
    """POST .../os-volume_attachments: the volume is `attaching` until the server has it."""
    server, body = call.target, call.body
    fields.check_uuid("volumeAttachment.volumeId", body.volumeId)
    ends = _read_flag(call, body)
    tag = None
    if body.tag is not UNSET:
        if not call.since(2, 49):
            raise InvalidField("volumeAttachment", "Additional properties are not allowed ('tag' was unexpected)")
        tag = fields.check_tag("volumeAttachment.tag", body.tag)
    _require_changeable(call, server, "attach_volume")
    volume = volume_api.find(tx, call.caller, body.volumeId)
    device = attaching.attach(tx, call, server, volume, device=or_none(body.device), tag=tag, ends=ends)
    if call.since(2, 101):
        return Reply(status=202)
    view = {"id": volume.id, "serverId": server.id, "volumeId": volume.id, "device": device}
    if call.since(2, 70):
        view["tag"] = tag
    if call.since(2, 79):
        view["delete_on_termination"] = ends
    return Reply({"volumeAttachment": view})


def _read_flag(call: Call, body: NewAttachment | AttachmentChanges, *, since: tuple[int, int] = (2, 79)) -> bool:
    if body.delete_on_termination is UNSET:
        return False
    if not call.since(*since):
        unexpected = "Additional properties are not allowed ('delete_on_termination' was unexpected)"
        raise InvalidField("volumeAttachment", unexpected)
    return fields.read_flag("volumeAttachment.delete_on_termination", body.delete_on_termination)


def _require_changeable(call: Call, server: Any, action: str) -> None:
    """Raise Conflict when the server's volumes cannot be changed: by its lock, its state, or one of an old request."""
    shelved = server.vm_state in (VmState.SHELVED, VmState.SHELVED_OFFLOADED)
    tasks.require_unlocked(call, server, action)
    require(server, action, () if shelved and not call.since(2, 20) else _CHANGEABLE, tasks=None)


def update(tx: Transaction, call: Call) -> None:
    """PUT .../os-volume_attachments/{volume_id}: since 2.85 whether the volume goes with the server; else a swap."""
    server, body = call.target, call.body
    fields.check_uuid("volumeAttachment.volumeId", body.volumeId)
    swaps = not call.since(2, 85) or body.volumeId != call.path["volume_id"]
    if swaps:
        call.require(f"{_RULE}swap", server)
    ends = _read_flag(call, body, since=(2, 85))
    if call.since(2, 85):
        row = _find(tx, call)
        _require_same(body, row)
        if body.delete_on_termination is not UNSET:
            rows.update(tx, row.id, delete_on_termination=ends)
    if swaps:
        _swap(tx, call)


def _require_same(body: AttachmentChanges, row: Any) -> None:
    told = {"id": row.volume_id, "serverId": row.server_id, "device": row.device_name, "tag": row.tag}
    for name, value in told.items():
        given = getattr(body, name)
        if given is not UNSET and given != value:
            raise BadRequest(f"The {name} property is not mutable")


def _swap(tx: Transaction, call: Call) -> None:
    """Refused: a volume service asks for it while it moves a volume, which this cloud's does by itself."""
    old = volume_api.find(tx, call.caller, call.path["volume_id"])
    raise Conflict(f"volume {old.id} is not migrating; this API should only be called by Cinder", kind="InvalidVolume")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE .../os-volume_attachments/{volume_id}: the volume is `detaching` until the server has let it go."""
    _require_changeable(call, call.target, "detach_volume")
    attaching.detach(tx, call, call.target, _find(tx, call))


_PATH = "/v2.1/servers/{server_id}/os-volume_attachments"
_ONE = f"{_PATH}/{{volume_id}}"
_RULE = "os_compute_api:os-volumes-attachments:"
_ENVELOPE = "volumeAttachment"

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}index", target=finding.load),
    Route("POST", _PATH, create, f"{_RULE}create", target=finding.load, body=NewAttachment, envelope=_ENVELOPE),
    Route("GET", _ONE, show, f"{_RULE}show", target=finding.load),
    Route("PUT", _ONE, update, f"{_RULE}update", target=finding.load, body=AttachmentChanges, envelope=_ENVELOPE,
          status=202),
    Route("DELETE", _ONE, delete, f"{_RULE}delete", target=finding.load, status=202),
)  # fmt: skip

POLICIES = (
    Rule(f"{_RULE}index", READER, "See a server's volumes."),
    Rule(f"{_RULE}show", READER, "See one of a server's volumes."),
    Rule(f"{_RULE}create", MEMBER, "Give a server a volume."),
    Rule(f"{_RULE}update", MEMBER, "Change how a server has a volume."),
    Rule(f"{_RULE}swap", SERVICE, "Put another volume in the place of a server's."),
    Rule(f"{_RULE}delete", MEMBER, "Take a volume from a server."),
)
