"""The block devices that an image brings: one of a server that booted from volumes is nothing but their snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stackyard.core import ids
from stackyard.services.compute.servers.devices import Device, invalid

MAPPING, VERSION_2 = "block_device_mapping", "bdm_v2"
OWN = frozenset({MAPPING, VERSION_2, "root_device_name"})
"""The properties of such an image that say how it is made up."""
_TEXT = re.compile(r"[\w./-]{1,255}")


def of_image(properties: Mapping[str, Any]) -> list[Device]:
    """What an image's properties say; raises BadRequest for what says nothing of sense."""
    given = properties.get(MAPPING)
    if not given:
        return []
    try:
        listed = msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise invalid("the image's block_device_mapping is not a list of devices.")
    return [_device(item) for item in listed if not item.get("no_device")]


def _device(item: Mapping[str, Any]) -> Device:
    snapshot_id, source = item.get("snapshot_id"), item.get("source_type") or "snapshot"
    destination = item.get("destination_type") or "volume"
    index, size = item.get("boot_index"), item.get("volume_size")
    fine = (
        (source == "snapshot" and destination == "volume" and ids.is_uuid(str(snapshot_id)))
        or (source == "blank" and destination in ("local", "volume"))
    )  # fmt: skip
    if not fine or not _whole(index) or not _whole(size):
        raise invalid("the image's block_device_mapping has a device that is neither a snapshot nor blank.")
    return Device(
        source=source,
        destination=destination,
        snapshot_id=snapshot_id if source == "snapshot" else None,
        boot_index=index,
        size=size or None,
        device_name=_text(item, "device_name"),
        volume_type=_text(item, "volume_type"),
        bus=_text(item, "disk_bus"),
        device_type=_text(item, "device_type"),
        guest_format=_text(item, "guest_format"),
        delete_on_termination=item.get("delete_on_termination") is True,
        tag=_text(item, "tag"),
    )


def _whole(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 1 << 20)


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    if value is None or (isinstance(value, str) and _TEXT.fullmatch(value)):
        return value or None
    raise invalid(f"the image's block_device_mapping has a {name} that is no name.")


def merge(asked: Sequence[Device], of_image: Sequence[Device]) -> list[Device]:
    """The devices of a request and its image's: the request's go before those of the same name."""
    rooted = any(device.boot_index == 0 for device in of_image)
    kept = [one for one in asked if not (rooted and one.boot_index == 0 and one.source == "image")]
    names = {device.device_name for device in kept if device.device_name}
    return [*kept, *(device for device in of_image if device.device_name not in names)]


def as_mapping(row: Any, snapshot: Any) -> dict[str, Any]:
    """What the image of a server says of one of its volumes, of which this snapshot was made."""
    return {
        "source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot.id, "image_id": None,
        "volume_id": None, "volume_size": snapshot.volume_size, "volume_type": row.volume_type, "no_device": None,
        "device_name": row.device_name, "boot_index": row.boot_index, "disk_bus": row.disk_bus, "tag": row.tag,
        "device_type": row.device_type or "disk", "guest_format": row.guest_format,
        "delete_on_termination": row.delete_on_termination, "encrypted": None, "encryption_secret_uuid": None,
        "encryption_format": None, "encryption_options": None,
    }  # fmt: skip
