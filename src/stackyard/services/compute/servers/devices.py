"""The block devices that a server is made with: checked against image and flavor, and written down.

A server without a mapping of its own has its image's disk, and what its flavor gives of ephemeral disk and swap; only
what a request names is kept as rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.compute.servers import fields
from stackyard.services.compute.tables import block_devices

_INSERT = sa.insert(block_devices)
_DEVICE_NAME = re.compile(r"[a-zA-Z0-9._/-]{1,255}")
_ID = re.compile(r"[a-zA-Z0-9._-]{1,255}")
_BUSES = ("fdc", "ide", "lxc", "sata", "scsi", "uml", "usb", "virtio", "xen")
_LEGACY = {
    "virtual_name", "volume_id", "snapshot_id", "volume_size", "device_name", "delete_on_termination", "no_device",
    "connection_info",
}  # fmt: skip
_NEW = {
    "source_type", "uuid", "image_id", "destination_type", "guest_format", "device_type", "disk_bus", "boot_index",
}  # fmt: skip
_SOURCES = ("volume", "image", "snapshot", "blank")


class Device(msgspec.Struct, kw_only=True):
    """One block device of a request."""

    source: str
    destination: str
    device_name: str | None = None
    boot_index: int | None = None
    image_id: str | None = None
    volume_id: str | None = None
    snapshot_id: str | None = None
    size: int | None = None
    volume_type: str | None = None
    device_type: str | None = None
    bus: str | None = None
    guest_format: str | None = None
    delete_on_termination: bool = False
    tag: str | None = None


def invalid(details: str, kind: str = "InvalidBDMFormat") -> BadRequest:
    """The fault of a mapping that cannot be."""
    return BadRequest(f"Block Device Mapping is Invalid: {details}", kind=kind)


def read(call: Call, legacy: list[dict[str, Any]], new: list[dict[str, Any]], image_id: str | None) -> list[Device]:
    """The devices of a request's two mappings, only one of which may be there; raises BadRequest, InvalidField."""
    if legacy and new:
        raise BadRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
    if legacy:
        old = [_legacy(f"server.block_device_mapping[{index}]", item) for index, item in enumerate(legacy)]
        return _rooted([device for device in old if device is not None], image_id)
    found = [
        _device(call, f"server.block_device_mapping_v2[{index}]", item, image_id) for index, item in enumerate(new)
    ]
    return [device for device in found if device is not None]


def _rooted(devices: list[Device], image_id: str | None) -> list[Device]:
    """Of an old mapping that has no boot indexes, servers without an image boot from the first disk, or the first."""
    volumes = [device for device in devices if device.destination == "volume"]
    if image_id is None and volumes:
        first = (device for device in volumes if (device.device_name or "").removeprefix("/dev/") == "vda")
        next(first, volumes[0]).boot_index = 0
    return devices


def _common(field: str, item: Mapping[str, Any]) -> dict[str, Any]:
    name = item.get("device_name")
    if name is not None and not (isinstance(name, str) and _DEVICE_NAME.fullmatch(name)):
        raise InvalidField(f"{field}.device_name", "a device has a name of letters, digits and characters of ._/-")
    for key in ("volume_id", "snapshot_id"):
        if key in item:
            fields.check_uuid(f"{field}.{key}", item[key])
    size = item.get("volume_size")
    if "volume_size" in item:
        if isinstance(size, bool) or not isinstance(size, int | str):
            raise InvalidField(f"{field}.volume_size", "it is not a whole number of 1 or more.")
        size = fields.read_count(f"{field}.volume_size", size)
    delete = item.get("delete_on_termination", False)
    if not isinstance(delete, bool | str):
        raise InvalidField(f"{field}.delete_on_termination", "it is not a boolean.")
    return {"device_name": name, "size": size, "delete_on_termination": fields.read_flag(field, delete)}


def _legacy(field: str, item: Mapping[str, Any]) -> Device | None:
    _require_keys(field, item, _LEGACY)
    common = _common(field, item)
    virtual = item.get("virtual_name")
    if virtual is not None and not isinstance(virtual, str):
        raise InvalidField(f"{field}.virtual_name", "it is not a text.")
    if virtual and (virtual == "swap" or virtual.startswith("ephemeral")):
        form = "swap" if virtual == "swap" else None
        return Device(source="blank", destination="local", guest_format=form, boot_index=-1, **common)
    if item.get("snapshot_id"):
        return Device(source="snapshot", destination="volume", snapshot_id=item["snapshot_id"], **common)
    if item.get("volume_id"):
        return Device(source="volume", destination="volume", volume_id=item["volume_id"], **common)
    if item.get("no_device"):
        return None
    raise invalid("Unrecognized legacy format.")


def _require_keys(field: str, item: Mapping[str, Any], known: set[str]) -> None:
    for name in item:
        if name not in known:
            raise InvalidField(field, f"Additional properties are not allowed ('{name[:80]}' was unexpected)")


def _texts(field: str, item: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        value = item.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= 255):
            raise InvalidField(f"{field}.{name}", "it is not a text of at most 255 characters.")


def _device(call: Call, field: str, item: dict[str, Any], image_id: str | None) -> Device | None:
    known = _LEGACY | _NEW
    known = known | {"tag"} if call.microversion == (2, 32) or call.since(2, 42) else known
    _require_keys(field, item, known | {"volume_type"} if call.since(2, 67) else known)
    common = _common(field, item)
    _texts(field, item, ("guest_format", "device_type", "disk_bus", "volume_type"))
    if item.get("no_device"):
        return None
    source, destination = item.get("source_type"), item.get("destination_type")
    _check_types(field, source, destination)
    tag = fields.check_tag(f"{field}.tag", item["tag"]) if "tag" in item else None
    uuid = _uuid(field, item)
    index = _boot_index(field, item)
    if source is None:
        source = next((one for one in ("volume", "snapshot", "image") if item.get(f"{one}_id")), None)
        if source is None:
            raise invalid("Missing device UUID.")
        uuid = uuid or item[f"{source}_id"]
    destination = destination or ("local" if source == "blank" else "volume")
    if source == "blank" and uuid:
        raise invalid("Invalid device UUID.")
    if source != "blank" and not uuid:
        raise invalid("Missing device UUID.")
    if source == "image" and destination == "local" and not (image_id and index == 0):
        raise invalid("Mapping image to local is not supported.")
    if item.get("volume_type") and (destination == "local" or source == "volume"):
        raise invalid("Specifying a volume_type with destination_type=local is not supported.")
    bus = item.get("disk_bus")
    if bus and bus not in _BUSES:
        raise invalid(f"{bus[:40]} is not a valid disk bus.", "InvalidBDMDiskBus")
    return Device(
        source=source,
        destination=destination,
        boot_index=index,
        image_id=uuid if source == "image" else None,
        volume_id=uuid if source == "volume" else None,
        snapshot_id=uuid if source == "snapshot" else None,
        volume_type=item.get("volume_type"),
        device_type=item.get("device_type"),
        bus=bus,
        guest_format=item.get("guest_format"),
        tag=tag,
        **common,
    )


def _check_types(field: str, source: Any, destination: Any) -> None:
    if source is not None and source not in _SOURCES:
        raise InvalidField(f"{field}.source_type", f"it is one of {', '.join(_SOURCES)}.")
    if destination is not None and destination not in ("local", "volume"):
        raise InvalidField(f"{field}.destination_type", "it is local or volume.")


def _uuid(field: str, item: Mapping[str, Any]) -> str | None:
    for name in ("uuid", "image_id"):
        value = item.get(name)
        if value is not None and not (isinstance(value, str) and _ID.fullmatch(value)):
            raise InvalidField(f"{field}.{name}", "it is not an id.")
    return item.get("uuid")


def _boot_index(field: str, item: Mapping[str, Any]) -> int | None:
    value = item.get("boot_index")
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}", str(value)):
        raise InvalidField(f"{field}.boot_index", "it is not a whole number.")
    return int(value)


def check(devices: Sequence[Device], flavor: Mapping[str, Any], image_id: str | None) -> None:
    """Raise BadRequest when a server of this flavor and image cannot have these devices."""
    indexes = sorted(
        device.boot_index for device in devices if device.boot_index is not None and device.boot_index >= 0
    )
    if image_id and not any(device.boot_index == 0 for device in devices):
        indexes = [0, *indexes]
    if not indexes or indexes != list(range(len(indexes))):
        raise invalid(
            "Boot sequence for the instance and image/block device mapping combination is not valid.",
            "InvalidBDMBootSequence",
        )
    own = [device for device in devices if device.source == "blank" and device.destination == "local"]
    blanks = [device for device in own if device.guest_format != "swap"]
    if sum(device.size or flavor["ephemeral"] for device in blanks) > flavor["ephemeral"]:
        raise invalid(
            "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block "
            "device mapping, flavor ephemeral size will be used.",
            "InvalidBDMEphemeralSize",
        )
    swaps = [device for device in own if device.guest_format == "swap"]
    if len(swaps) > 1:
        raise invalid("More than one swap drive requested.")
    if swaps and (swaps[0].size or 0) > flavor["swap"]:
        raise invalid("Swap drive requested is larger than instance type allows.", "InvalidBDMSwapSize")
    tags = [device.tag for device in devices if device.tag]
    if len(set(tags)) != len(tags):
        raise invalid("two devices have the same tag.")


def insert(tx: Transaction, server_ids: Sequence[str], devices: Sequence[Device], flavor: Mapping[str, Any]) -> None:
    """Write the disks of new servers down that are no volumes; an ephemeral disk without a size has the flavor's."""
    rows = [
        {
            "id": ids.new_uuid(), "server_id": server_id, "device_name": device.device_name,
            "source_type": device.source, "destination_type": device.destination, "boot_index": device.boot_index,
            "image_id": device.image_id, "snapshot_id": device.snapshot_id, "volume_id": device.volume_id,
            "volume_size": device.size or _default_size(device, flavor),
            "volume_type": device.volume_type, "attachment_id": None,
            "device_type": device.device_type, "disk_bus": device.bus, "guest_format": device.guest_format,
            "delete_on_termination": device.delete_on_termination, "tag": device.tag, "created_at": tx.now,
        }
        for server_id in server_ids
        for device in devices
    ]  # fmt: skip
    if rows:
        tx.execute(_INSERT, rows)


def _default_size(device: Device, flavor: Mapping[str, Any]) -> int | None:
    if device.source != "blank" or device.destination != "local":
        return None
    return int(flavor["swap"] if device.guest_format == "swap" else flavor["ephemeral"])
