"""The volumes that new servers are made with: checked in the request, made and reserved when the servers have hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Forbidden, NotFound
from stackyard.services.compute.servers import devices, images
from stackyard.services.compute.servers.devices import Device, invalid
from stackyard.services.compute.volumes import attaching, naming, rows
from stackyard.services.compute.volumes.rows import State
from stackyard.services.volume import api as volume_api

_OVER_QUOTA = 413
_NUMBERS = ("size", "min_disk", "min_ram")


class Volumes(msgspec.Struct, kw_only=True):
    """What a request's servers have: `image` is what the volume that they boot from says of its image, None when they
    boot from a disk of their own; `host` the one that all volumes are on, None when any host will do.
    """

    devices: list[Device]
    image: dict[str, Any] | None = None
    host: str | None = None

    @property
    def boots(self) -> bool:
        """Whether the servers boot from a volume."""
        return self.image is not None


def check(tx: Transaction, call: Call, asked: Sequence[Device], count: int) -> Volumes:
    """Look at the volumes, snapshots and images that devices are to be made of.

    Raises BadRequest (InvalidBDM..., InvalidVolume) for what cannot be had, or not by so many servers.
    """
    found = Volumes(devices=list(asked))
    for device in asked:
        if device.destination != "volume":
            continue
        source = _source(tx, call, device, count)
        if device.boot_index == 0:
            found.image = _image(tx, call, device, source)
        host = None if source is None else source.host
        if host is None or call.runtime.settings.volume.shared:
            continue
        if found.host not in (None, host):
            raise invalid(f"its volumes are kept on several hosts ({found.host}, {host}).", "InvalidBDM")
        found.host = host
    if len([device for device in asked if device.destination == "volume"]) > naming.MOST:
        raise invalid(f"a server has at most {naming.MOST} volumes.", "InvalidBDM")
    return found


def _source(tx: Transaction, call: Call, device: Device, count: int) -> Any:
    """The row of the volume or snapshot; None for an image or a blank volume."""
    if device.volume_id is not None:
        return _volume(tx, call, device, count)
    if device.snapshot_id is not None:
        try:
            return volume_api.find_snapshot(tx, call.caller, device.snapshot_id)
        except NotFound:
            raise invalid(f"failed to get snapshot {device.snapshot_id}.", "InvalidBDMSnapshot") from None
    if device.source == "image" and not device.size:
        raise invalid("Images with destination_type 'volume' need to have a non-zero size specified", "InvalidBDM")
    if device.source == "blank" and not device.size:
        raise invalid(
            "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size", "InvalidBDM"
        )  # fmt: skip
    return None


def _volume(tx: Transaction, call: Call, device: Device, count: int) -> Any:
    if count > 1:
        raise BadRequest("Cannot attach one or more volumes to multiple instances", kind="InvalidRequest")
    try:
        volume = volume_api.find(tx, call.caller, str(device.volume_id))
    except NotFound:
        raise invalid(f"failed to get volume {device.volume_id}.", "InvalidBDMVolume") from None
    if device.boot_index == 0 and not volume.bootable:
        raise invalid(f"volume {volume.id} is not bootable.", "InvalidBDMVolumeNotBootable")
    attaching.require_multiattach(call, volume)
    volume_api.require_attachable(tx, volume, mode=attaching.mode_of(volume))
    return volume


def _image(tx: Transaction, call: Call, device: Device, source: Any) -> dict[str, Any]:
    """What is known of the system on the volume that servers boot from, as `servers.image` holds it."""
    if device.image_id is not None:
        try:
            image = images.find(tx, call, device.image_id)
        except BadRequest:
            raise invalid(f"failed to get image {device.image_id}.", "InvalidBDMImage") from None
        found = images.snapshot(image)
        if image["status"] != "active":
            raise BadRequest(f"Image {image['id']} is not active.", kind="ImageNotActive")
    else:
        found = described(getattr(source, "image_metadata", None))
    if images.kind_of(found) != "machine":
        raise invalid("only virtual machines boot from volumes; a container starts from its image.", "InvalidBDM")
    return found


def described(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """`servers.image` of a volume's image metadata."""
    given = dict(metadata or {})
    found: dict[str, Any] = {"name": given.pop("image_name", None)}
    for name in ("disk_format", "container_format", "checksum"):
        found[name] = given.pop(name, None)
    for name in _NUMBERS:
        text = str(given.pop(name, "") or "")
        found[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    given.pop("image_id", None)
    given.pop("signature_verified", None)
    return found | {"kernel_id": None, "ramdisk_id": None, "properties": given}


def write(
    tx: Transaction,
    call: Call,
    servers: Sequence[Mapping[str, Any]],
    asked: Sequence[Device],
    flavor: Mapping[str, Any],
) -> None:
    """Write the devices of new servers down: volumes that are there are reserved, others are asked for.

    Raises BadRequest, Forbidden (quota).
    """
    devices.insert(tx, [row["id"] for row in servers], [one for one in asked if one.destination == "local"], flavor)
    blanks = [one for one in asked if one.destination == "local" and one.source == "blank"]
    local = len(blanks) or sum(bool(flavor.get(name)) for name in ("ephemeral", "swap"))
    order = sorted(
        (one for one in asked if one.destination == "volume"),
        key=lambda one: one.boot_index if one.boot_index is not None and one.boot_index >= 0 else 1 << 20,
    )
    for server in servers:
        taken: set[str] = set()
        for device in order:
            name = _name(server, device, taken, local)
            taken.add(name)
            _write_one(tx, call, server, device, name)


def _name(server: Mapping[str, Any], device: Device, taken: set[str], local: int) -> str:
    root = str(server["root_device_name"])
    if device.boot_index == 0:
        return root
    asked = device.device_name if server["kind"] != "machine" else None
    naming.check(server["kind"], asked)
    return naming.next_device(server["kind"], asked, taken, root=root, bus=device.bus, local=local)


def _write_one(tx: Transaction, call: Call, server: Mapping[str, Any], device: Device, name: str) -> None:
    attachment = None
    if device.volume_id is not None:
        volume = volume_api.find(tx, call.caller, device.volume_id)
        attachment = volume_api.attach(
            tx, call.runtime, call.caller, volume.id, server["id"], host=server["host"], mountpoint=name,
            mode=attaching.mode_of(volume),
        )  # fmt: skip
    else:
        volume = _make(tx, call, server, device)
    rows.insert(
        tx, server_id=server["id"], device_name=name, source_type=device.source, boot_index=device.boot_index,
        image_id=device.image_id, snapshot_id=device.snapshot_id, volume_id=volume.id, volume_size=volume.size,
        volume_type=device.volume_type, attachment_id=None if attachment is None else attachment.id,
        state=State.MAKING if attachment is None else State.ATTACHING, device_type=device.device_type,
        disk_bus=device.bus, guest_format=device.guest_format, delete_on_termination=device.delete_on_termination,
        tag=device.tag,
    )  # fmt: skip


def _make(tx: Transaction, call: Call, server: Mapping[str, Any], device: Device) -> Any:
    wanted = volume_api.Request(
        size=device.size,
        name=f"{server['id']}-blank-vol" if device.source == "blank" else "",
        volume_type=device.volume_type,
        image_id=device.image_id,
        snapshot_id=device.snapshot_id,
        hint_host=server["host"],
    )
    try:
        volume = volume_api.create(tx, call.runtime, call.caller, wanted)
    except ApiError as error:
        if error.status == _OVER_QUOTA:
            raise Forbidden(error.message, kind="VolumeLimitExceeded") from error
        raise BadRequest(error.message, kind=error.kind) from error
    timeline.record(tx, "server", server["id"], "volume asked for", volume.id)
    return volume
