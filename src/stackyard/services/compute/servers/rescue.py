"""rescue and unrescue: a server runs from another disk for a while, with its own beside it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest
from stackyard.core.policy import Rule
from stackyard.services import keys
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import fields, image_properties, images, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.snapshots import is_volume_backed
from stackyard.services.compute.servers.states import VmState, require

_UUID = r"\A[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z"
ImageId = Annotated[str, Meta(pattern=_UUID)]

_STABLE = ("hw_rescue_device", "hw_rescue_bus")
_VOLUMES = "img_block_device_mapping"
_DEVICES = ("cdrom", "disk")
_BUSES = ("virtio", "scsi", "ide", "usb", "sata")


class Rescue(Body):
    """What stands under rescue."""

    adminPass: str | UnsetType = UNSET  # noqa: N815 (the API's name)
    rescue_image_ref: ImageId | UnsetType = UNSET


def rescue(tx: Transaction, call: Call, body: Rescue) -> dict[str, Any]:
    """Begin to run the server from the rescue image: the one that is named, else its own."""
    server = call.target
    tasks.require_unlocked(call, server, "rescue")
    require(server, "rescue", (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR))
    password = fields.new_password() if body.adminPass is UNSET else body.adminPass
    if server.host is None:
        raise _not_rescuable(server, "it is on no host")
    driver = call.runtime[keys.MACHINES].get(server.kind)
    if driver is not None and "rescue" not in driver.abilities:
        raise _not_rescuable(server, f"servers of the kind {server.kind} have no disk of their own to boot from")
    wanted = _wanted(tx, call, server, body.rescue_image_ref)
    if is_volume_backed(server) and not (call.since(2, 87) and wanted["stable"]):
        raise _not_rescuable(server, "Cannot rescue a volume-backed instance")
    if wanted["image_id"] is None:
        raise _not_rescuable(server, "it was made from no image: name one that it is to be rescued with")
    tasks.begin(
        tx, call, server, "rescue", name="rescue", task_state="rescuing", rescue=wanted, admin_password=password
    )
    return {"adminPass": password}


def _not_rescuable(server: Any, reason: str) -> BadRequest:
    return BadRequest(f"Instance {server.id} cannot be rescued: {reason}", kind="InstanceNotRescuable")


def _wanted(tx: Transaction, call: Call, server: Any, image_id: str | UnsetType) -> dict[str, Any]:
    """What `servers.rescue` is to hold: the image, and whether it says itself how its disk is to be plugged in."""
    if image_id is UNSET:
        return {"image_id": server.image_id, "image": server.image, **_plug(server.image)}
    try:
        image = images.find(tx, call, image_id)
    except ApiError:
        raise _unsupported(image_id) from None
    described = images.snapshot(image)
    if image["status"] != "active" or images.kind_of(image) != server.kind or described["properties"].get(_VOLUMES):
        raise _unsupported(image_id)
    image_properties.check(described["properties"])
    return {"image_id": image_id.lower(), "image": described, **_plug(described)}


def _unsupported(image_id: str) -> BadRequest:
    return BadRequest(f"Requested rescue image '{image_id}' is not supported", kind="UnsupportedRescueImage")


def _plug(image: Any) -> dict[str, Any]:
    """How the image says that its disk is to be plugged in; raises BadRequest for what no machine here has."""
    properties = image.get("properties") or {}
    device, bus = (properties.get(name) for name in _STABLE)
    if device is not None and device not in _DEVICES:
        raise BadRequest(f"Requested rescue device '{device}' is not supported", kind="UnsupportedRescueDevice")
    if bus is not None and bus not in _BUSES:
        raise BadRequest(f"Requested rescue bus '{bus}' is not supported", kind="UnsupportedRescueBus")
    return {"stable": device is not None or bus is not None, "device": device or "disk", "bus": bus or ""}


def unrescue(tx: Transaction, call: Call, body: Any) -> None:
    """Begin to run the server from its own disk again."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "unrescue")
    require(server, "unrescue", (VmState.RESCUED,))
    tasks.begin(tx, call, server, "unrescue", name="unrescue", task_state="unrescuing")


ACTIONS = (
    Action(name="rescue", operation=rescue, rule="os_compute_api:os-rescue", body=Rescue, status=200),
    Action(name="unrescue", operation=unrescue, rule="os_compute_api:os-unrescue"),
)

POLICIES = (
    Rule("os_compute_api:os-rescue", MEMBER, "Run a server from a rescue image."),
    Rule("os_compute_api:os-unrescue", MEMBER, "Run a rescued server from its own disk again."),
)
