"""Attaching and detaching as actions on volumes: what compute services did before the attachments API, and users do
who attach by hand.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.services import keys
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.attachments.connections import connection_info
from stackyard.services.volume.fields import Uuid


class Attach(Body):
    """os-attach: to a server, or to a host."""

    mountpoint: Annotated[str, Meta(min_length=1, max_length=255)]
    instance_uuid: Uuid | UnsetType = UNSET
    host_name: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET
    mode: Literal["rw", "ro"] = "rw"


class Detach(Body):
    """os-detach: which attachment, when there are several."""

    attachment_id: Uuid | None = None


class ForceDetach(Body):
    """os-force_detach."""

    attachment_id: Annotated[str, Meta(max_length=255)] | None = None
    connector: dict[str, Any] | str | None = None


class Connection(Body):
    """os-initialize_connection: who asks from where."""

    connector: dict[str, Any] | str


class EndConnection(Body):
    """os-terminate_connection."""

    connector: dict[str, Any] | str | None


def attach(tx: Transaction, call: Call, body: Attach) -> None:
    """os-attach: it is attached from now on."""
    volume = call.target
    if body.instance_uuid is UNSET and body.host_name is UNSET:
        raise BadRequest("Invalid input for os-attach: it needs instance_uuid or host_name.")
    if volume.status == statuses.MAINTENANCE:
        raise _invalid("The volume cannot be attached in maintenance mode.")
    state.require_mode(volume, body.mode)
    instance = None if body.instance_uuid is UNSET else body.instance_uuid
    host = None if body.host_name is UNSET else body.host_name
    if volume.status == statuses.ATTACHING:
        _require_mode_kept(volume, body.mode)
    elif volume.status not in (statuses.AVAILABLE, *((statuses.IN_USE,) if volume.multiattach else ())):
        raise _invalid(f"volume {volume.id} status must be available or attaching to attach; it is {volume.status}.")
    given = {"user_id": call.caller.user_id, "mountpoint": body.mountpoint, "attach_mode": body.mode}
    row = state.insert(tx, volume, instance_id=instance, attached_host=host, attach_status=statuses.ATTACHING, **given)
    state.complete(tx, row)


def _require_mode_kept(volume: Any, mode: str) -> None:
    kept = volume.admin_metadata.get("attached_mode")
    if kept and kept != mode:
        raise _invalid("being attached by different mode")


def detach(tx: Transaction, call: Call, body: Detach) -> None:
    """os-detach: the attachment is gone."""
    if call.target.status == statuses.MAINTENANCE:
        raise _invalid("The volume cannot be detached in maintenance mode.")
    _detach(tx, call, body.attachment_id)


def force_detach(tx: Transaction, call: Call, body: ForceDetach) -> None:
    """os-force_detach: the same by an administrator."""
    _detach(tx, call, body.attachment_id)


def _detach(tx: Transaction, call: Call, attachment_id: str | None) -> None:
    volume = call.target
    held = state.of_volume(tx, volume.id)
    if attachment_id is not None:
        held = [one for one in held if one.id == attachment_id]
        if not held:
            other = state.by_id(tx, attachment_id)
            if other is not None and other.project_id == volume.project_id:
                raise BadRequest("Invalid input received: Mismatched volume and attachment", kind="InvalidInput")
            raise state.not_found(attachment_id)
    elif len(held) > 1:
        raise _invalid("Detach volume failed: More than one attachment, but no attachment_id provided.")
    if not held:
        if volume.status in (statuses.DETACHING, statuses.ATTACHING, statuses.IN_USE):
            state.settle(tx, volume.id)
        return
    require_not_of_server(tx, call, held[0])
    # As in Cinder: whoever says so knows that it is whole.
    state.remove(tx, held[0], broken=True)


def require_not_of_server(tx: Transaction, call: Call, attachment: Any) -> None:
    """Raise Conflict when a server of this cloud has the volume: it must be asked to let it go, or its disk is lost."""
    if not attachment.instance_id or keys.VOLUME_HOLDERS not in call.runtime:
        return
    if call.runtime[keys.VOLUME_HOLDERS](tx, attachment.instance_id, attachment.id):
        raise Conflict(
            f"Detach volume from instance {attachment.instance_id} using the Compute API",
            kind="ConflictNovaUsingAttachment",
        )


def reserve(tx: Transaction, call: Call, body: Any) -> None:
    """os-reserve: nobody else may attach it now."""
    del body
    volume = call.target
    allowed = (statuses.AVAILABLE, statuses.IN_USE) if volume.multiattach else (statuses.AVAILABLE,)
    if volume.status not in allowed:
        raise _invalid(f"Volume status must be {' or '.join(allowed)} to reserve, but the status is {volume.status}.")
    tasks.update(tx, volume.id, status=statuses.ATTACHING)


def unreserve(tx: Transaction, call: Call, body: Any) -> None:
    """os-unreserve: somebody else may."""
    del body
    if call.target.status == statuses.ATTACHING:
        state.settle(tx, call.target.id)


def begin_detaching(tx: Transaction, call: Call, body: Any) -> None:
    """os-begin_detaching."""
    del body
    state.begin_detaching(tx, call.target)


def roll_detaching(tx: Transaction, call: Call, body: Any) -> None:
    """os-roll_detaching."""
    del body
    state.roll_detaching(tx, call.target)


def initialize_connection(tx: Transaction, call: Call, body: Connection) -> dict[str, Any]:
    """os-initialize_connection: how the volume is reached."""
    del tx
    if call.target.status == statuses.MAINTENANCE:
        raise _invalid("The volume connection cannot be initialized in maintenance mode.")
    if call.target.host is None:
        raise _invalid(f"Volume {call.target.id} is on no host.")
    told = connection_info(call.runtime, call.target, call.target.admin_metadata.get("attached_mode", "rw"))
    wanted = body.connector.get("enforce_multipath", False) if isinstance(body.connector, dict) else False
    return {"connection_info": {**told, "enforce_multipath": bool(wanted)}}


def terminate_connection(tx: Transaction, call: Call, body: EndConnection) -> None:
    """os-terminate_connection: who had asked needs it no longer."""
    del body
    for one in state.of_volume(tx, call.target.id):
        require_not_of_server(tx, call, one)
    if call.target.status == statuses.ATTACHING:
        state.settle(tx, call.target.id)


def _invalid(reason: str) -> BadRequest:
    return BadRequest(f"Invalid volume: {reason}", kind="InvalidVolume")


_RULE = "volume_extension:volume_actions:"

ACTIONS = (
    Action(name="os-attach", operation=attach, rule=f"{_RULE}attach", body=Attach),
    Action(name="os-detach", operation=detach, rule=f"{_RULE}detach", body=Detach),
    Action(name="os-reserve", operation=reserve, rule=f"{_RULE}reserve"),
    Action(name="os-unreserve", operation=unreserve, rule=f"{_RULE}unreserve"),
    Action(name="os-begin_detaching", operation=begin_detaching, rule=f"{_RULE}begin_detaching"),
    Action(name="os-roll_detaching", operation=roll_detaching, rule=f"{_RULE}roll_detaching"),
    Action(
        name="os-initialize_connection", operation=initialize_connection, rule=f"{_RULE}initialize_connection",
        body=Connection, status=200,
    ),
    Action(
        name="os-terminate_connection", operation=terminate_connection, rule=f"{_RULE}terminate_connection",
        body=EndConnection,
    ),
    Action(
        name="os-force_detach", operation=force_detach, rule="volume_extension:volume_admin_actions:force_detach",
        body=ForceDetach,
    ),
)  # fmt: skip
