"""The attachments API (3.27): reserve a volume, say from where it is attached, say that it is (3.44), let it go."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stackyard.core import actions
from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField
from stackyard.core.microversion import Microversion
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, statuses
from stackyard.services.volume.attachments import state, views
from stackyard.services.volume.attachments.connections import connection_info
from stackyard.services.volume.fields import Uuid
from stackyard.services.volume.rules import MEMBER
from stackyard.services.volume.tables import attachments
from stackyard.services.volume.volumes import finding
from stackyard.services.volume.volumes.attaching import require_not_of_server

_a = attachments.c
_OWNED = lists.Owned(_a.project_id)
_LISTING = Listing(
    attachments,
    {
        "volume_id": Filter(_a.volume_id),
        "instance_id": Filter(_a.instance_id),
        "attach_status": Filter(_a.attach_status),
        "status": Filter(_a.attach_status),
    },
    sort_keys=("id", "volume_id", "instance_id", "attach_status", "created_at", "updated_at"),
    others=("project_id",),
)

SINCE = Microversion(3, 27)
LONGEST_CONNECTOR = 16_384
"""Bytes of what a connector may say, as JSON."""

Connector = dict[str, Any]


class New(Body):
    """A new attachment: of a volume, for a server."""

    volume_uuid: Uuid
    instance_uuid: Uuid | UnsetType = UNSET
    connector: Connector | None = None


class NewWithMode(New):
    """3.54: for writing or for reading."""

    mode: Literal["rw", "ro"] | UnsetType = UNSET


class Update(Body):
    """From where it is attached."""

    connector: Annotated[Connector, Meta(min_length=1)]


def new_body(version: Microversion | None) -> type[New]:
    """The body of a create at a microversion."""
    return New if version is not None and version < (3, 54) else NewWithMode


def load(tx: Transaction, call: Call) -> Any:
    """The attachment of the path's `attachment_id`, which the caller may know of; raises VolumeAttachmentNotFound."""
    row = state.get(tx, call.path["attachment_id"])
    if row.project_id != call.caller.project_id and not call.caller.is_admin:
        raise state.not_found(row.id)
    return row


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /attachments."""
    found = lists.find(tx, call, _LISTING, "attachments", _OWNED.scope(call))
    return {"attachments": [views.summary(row) for row in found.rows]}


def index_details(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /attachments/detail."""
    found = lists.find(tx, call, _LISTING, "attachments/detail", _OWNED.scope(call))
    return {"attachments": [views.detail(row) for row in found.rows]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /attachments/{attachment_id}."""
    del tx
    return {"attachment": views.detail(call.target)}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /attachments: the volume is reserved; with a connector it is being attached."""
    body = call.body
    volume = finding.find(tx, call.caller, body.volume_uuid)
    call.require("volume:attachment_create", volume)
    if "error" in volume.status:
        raise BadRequest(
            "Invalid volume: Volume attachments can not be created if the volume is in an error state. The Volume "
            f"{volume.id} currently has a status of: {volume.status}",
            kind="InvalidVolume",
        )
    if volume.multiattach and volume.status == statuses.IN_USE and volume.bootable:
        call.require("volume:multiattach_bootable_volume", volume)
    mode = body.mode if isinstance(body, NewWithMode) and body.mode is not UNSET else "null"
    if volume.admin_metadata.get("readonly") == "True":
        mode = "ro"
    instance = None if body.instance_uuid is UNSET else body.instance_uuid
    row = state.reserve(tx, volume, user_id=call.caller.user_id, instance_id=instance, attach_mode=mode)
    if body.connector:
        _connect(tx, call, row, volume, body.connector)
    return {"attachment": views.detail(state.by_id(tx, row.id))}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /attachments/{attachment_id}: who attaches says from where, and is told how."""
    row = call.target
    volume = finding.by_id(tx, row.volume_id)
    if "error" in volume.status:
        raise Conflict(
            "Volume attachments can not be updated if the volume is in an error state. The Volume "
            f"{volume.id} currently has a status of: {volume.status}"
        )
    others = [one for one in state.of_volume(tx, volume.id) if one.id != row.id and one.connection_info]
    if others and not volume.multiattach and any(one.instance_id != row.instance_id for one in others):
        raise Conflict(f"duplicate connectors detected on volume {volume.id}")
    _connect(tx, call, row, volume, call.body.connector)
    return {"attachment": views.detail(state.by_id(tx, row.id))}


def _connect(tx: Transaction, call: Call, row: Any, volume: Any, connector: Connector) -> None:
    if len(msgspec.json.encode(connector)) > LONGEST_CONNECTOR:
        raise InvalidField("attachment.connector", f"it has more than {LONGEST_CONNECTOR} bytes")
    mode = _text(connector, "mode") or row.attach_mode
    mode = "rw" if mode not in ("ro", "rw") else mode
    state.require_mode(volume, mode)
    state.update(
        tx, row.id, connector=connector, connection_info=connection_info(call.runtime, volume, mode),
        attached_host=_text(connector, "host") or row.attached_host, attach_mode=mode,
        mountpoint=_text(connector, "mountpoint") or row.mountpoint,
        attach_status=statuses.ATTACHED if row.attach_status == statuses.ATTACHED else statuses.ATTACHING,
    )  # fmt: skip
    state.settle(tx, volume.id)


def _text(connector: Connector, key: str) -> str | None:
    value = connector.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 255:
        raise InvalidField(f"attachment.connector.{key}", "it is a text of at most 255 characters")
    return value


def delete(tx: Transaction, call: Call) -> dict[str, Any]:
    """DELETE /attachments/{attachment_id}: it is let go; the others of its volume."""
    row = call.target
    require_not_of_server(tx, call, row)
    state.remove(tx, row)
    return {"attachments": [views.summary(one) for one in state.of_volume(tx, row.volume_id)]}


def complete(tx: Transaction, call: Call, body: Any) -> None:
    """os-complete (3.44): it is attached."""
    del body
    if call.target.attach_status != statuses.ATTACHED:
        state.complete(tx, call.target)


ACTIONS = (
    Action(
        name="os-complete", operation=complete, rule="volume:attachment_complete", status=204,
        since=Microversion(3, 44),
    ),
)  # fmt: skip

_PATH = "/v3/attachments"
_ONE = f"{_PATH}/{{attachment_id}}"

ROUTES = (
    Route("GET", _PATH, index, "volume:any", since=SINCE, query=_LISTING.parameters),
    Route("GET", f"{_PATH}/detail", index_details, "volume:any", since=SINCE, query=_LISTING.parameters),
    Route("POST", _PATH, create, "volume:any", since=SINCE, envelope="attachment", body=new_body),
    Route("GET", _ONE, show, "volume:any", since=SINCE, target=load),
    Route(
        "PUT", _ONE, update, "volume:attachment_update", since=SINCE, target=load, envelope="attachment", body=Update
    ),
    Route("DELETE", _ONE, delete, "volume:attachment_delete", since=SINCE, target=load),
    Route(
        "POST",
        f"{_ONE}/action",
        actions.endpoint(ACTIONS, load, "attachments"),
        "volume:any",
        since=SINCE,
        edge=True,
        body=dict,
    ),
)

POLICIES = (
    Rule("volume:attachment_create", MEMBER, "Reserve a volume, or attach it."),
    Rule("volume:attachment_update", MEMBER, "Say from where a volume is attached."),
    Rule("volume:attachment_delete", MEMBER, "Let a volume go."),
    Rule("volume:attachment_complete", MEMBER, "Say that a volume is attached."),
    Rule("volume:multiattach_bootable_volume", MEMBER, "Attach a bootable volume that is attached already."),
)
