"""The image that a server is made from: whether it may be, what the server keeps of it, which kind it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.services.compute.servers import image_properties
from stackyard.services.image import api as image_api

GIB = 2**30
ZERO_DISK = "os_compute_api:servers:create:zero_disk_flavor"
_SYSTEM = ("lxc", "container")


def find(tx: Transaction, call: Call, image_id: str) -> Mapping[str, Any]:
    """An image that the caller may use, by id; raises BadRequest when there is none, as a server's request is to."""
    if ids.is_uuid(image_id):
        try:
            found = image_api.find_image(tx, call.caller, image_id)
        except NotFound:
            found = {}
        if found and found["id"] == image_id.lower():
            return found
    raise BadRequest("Can not find requested image", kind="ImageNotFound")


def kind_of(image: Mapping[str, Any]) -> str:
    """What a server from this image is: machine, container or system."""
    container_format = image.get("container_format")
    if container_format == "docker":
        return "container"
    properties = image.get("properties") or {}
    hypervisor = properties.get("hypervisor_type") or properties.get("img_hv_type")
    return "system" if container_format == "rootfs" or hypervisor in _SYSTEM else "machine"


def snapshot(image: Mapping[str, Any]) -> dict[str, Any]:
    """What a server keeps of its image (`servers.image`)."""
    properties = dict(image.get("properties") or {})
    found = {
        name: image.get(name)
        for name in ("name", "disk_format", "container_format", "size", "min_disk", "min_ram", "checksum")
    }
    for name in ("kernel_id", "ramdisk_id"):
        found[name] = _part(properties, name)
    return found | {"properties": properties}


def _part(properties: Mapping[str, Any], name: str) -> str | None:
    if properties.get("kernel_id") == "nokernel":
        return None
    value = properties.get(name)
    return str(value) if value else None


def check(
    tx: Transaction, call: Call, image: Mapping[str, Any], flavor: Mapping[str, Any], *, on_volume: bool = False
) -> None:
    """Raise BadRequest or Forbidden when a server of this flavor cannot be made from the image; `on_volume`: it has no
    disk of its own.
    """
    image_id = image["id"]
    if image["status"] != "active":
        raise BadRequest(f"Image {image_id} is not active.", kind="ImageNotActive")
    properties = image.get("properties") or {}
    if properties.get("cinder_encryption_key_id"):
        raise BadRequest(
            f"Image {image_id} is unacceptable: Direct booting of an image uploaded from an encrypted volume is "
            "unsupported.",
            kind="ImageUnacceptable",
        )
    image_properties.check(properties)
    if flavor["ram"] < int(image.get("min_ram") or 0):
        raise BadRequest("Flavor's memory is too small for requested image.", kind="FlavorMemoryTooSmall")
    if not on_volume:
        _check_disk(call, image, flavor)
    for name in ("kernel_id", "ramdisk_id"):
        part = _part(properties, name)
        if part is not None:
            find(tx, call, part)


def _check_disk(call: Call, image: Mapping[str, Any], flavor: Mapping[str, Any]) -> None:
    size, least, disk = int(image.get("size") or 0), int(image.get("min_disk") or 0) * GIB, flavor["disk"] * GIB
    if not disk:
        if not call.allows(ZERO_DISK):
            raise Forbidden(
                "Only volume-backed servers are allowed for flavors with zero disk.",
                kind="BootFromVolumeRequiredForZeroDiskFlavor",
            )
    elif size > disk:
        raise BadRequest(
            f"Flavor's disk is too small for requested image. Flavor disk is {disk} bytes, image is {size} bytes.",
            kind="FlavorDiskSmallerThanImage",
        )
    elif least > disk:
        raise BadRequest(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {disk} bytes, minimum size is {least} bytes.",
            kind="FlavorDiskSmallerThanMinDisk",
        )


def check_disk_config(image: Mapping[str, Any], asked: str | None) -> str:
    """AUTO or MANUAL: what was asked for, else what the image says; raises AutoDiskConfigDisabledByImage."""
    said = str((image.get("properties") or {}).get("auto_disk_config") or "").strip().lower()
    if said == "disabled" and asked == "AUTO":
        raise BadRequest(
            f"Requested image {image.get('id')} has automatic disk resize disabled.",
            kind="AutoDiskConfigDisabledByImage",
        )
    if asked is not None:
        return asked
    return "AUTO" if said in ("true", "1", "yes", "on", "t", "y") else "MANUAL"
