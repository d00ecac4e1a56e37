"""What a volume is made from: nothing, an image, a snapshot, another volume, or a backup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.image import api as image_api
from stackyard.services.volume import statuses
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.scheduler import Place
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.tables import backups
from stackyard.services.volume.volumes import finding

if TYPE_CHECKING:
    from stackyard.services.volume.volumes.creation import Request

GIB = 1 << 30

_BACKUP = sa.select(backups).where(backups.c.id == bindparam("key"))
_RESTORING = sa.update(backups).where(backups.c.id == bindparam("key")).values(status=bindparam("to"))


class Source(msgspec.Struct, kw_only=True):
    """`kind` is blank, image, snapshot, volume or backup. `size` is what a volume of it has when none is asked for,
    `least` what it must have (GiB); `place`, or only the `host`, where it must be. `word` is what messages call it.
    """

    kind: str = "blank"
    id: str | None = None
    word: str = "source"
    size: int | None = None
    least: int = 1
    zone: str | None = None
    volume_type_id: str | None = None
    place: Place | None = None
    host: str | None = None
    bootable: bool = False
    image_metadata: dict[str, Any] | None = None
    metadata: dict[str, str] = {}


def find(tx: Transaction, caller: Caller, request: Request) -> Source:
    """What a request is to be made from; raises NotFound, and BadRequest for one that cannot be read now."""
    given = {
        "snapshot": request.snapshot_id, "imageRef": request.image_id, "source_volume": request.source_volid,
        "backup": request.backup_id,
    }  # fmt: skip
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise BadRequest(f"Invalid input received: May specify only one of {', '.join(named)}", kind="InvalidInput")
    if request.snapshot_id:
        return _snapshot(tx, caller, request.snapshot_id)
    if request.source_volid:
        return _volume(tx, caller, request.source_volid)
    if request.image_id:
        return of_image(tx, caller, request.image_id)
    if request.backup_id:
        return _backup(tx, caller, request.backup_id)
    return Source()


def not_used(tx: Transaction, source: Source) -> None:
    """The volume will not be made after all."""
    if source.kind == "backup":
        tx.execute(_RESTORING, {"key": source.id, "to": statuses.AVAILABLE})


def _require(row: Any, allowed: tuple[str, ...], word: str, kind: str) -> None:
    if row.status not in allowed:
        raise BadRequest(
            f"Invalid {word}: Originating {word} status must be one of '{', '.join(allowed)}' values; it is "
            f"{row.status}",
            kind=kind,
        )


def _snapshot(tx: Transaction, caller: Caller, snapshot_id: str) -> Source:
    row = snapshot_finding.find(tx, caller, snapshot_id)
    _require(row, (statuses.AVAILABLE,), "snapshot", "InvalidSnapshot")
    origin = finding.by_id(tx, row.volume_id)
    return Source(
        kind="snapshot", id=row.id, word="snapshot", size=row.volume_size, least=row.volume_size,
        zone=None if origin is None else origin.availability_zone, volume_type_id=row.volume_type_id,
        place=Place(row.host, row.backend), bootable=row.bootable, image_metadata=row.image_metadata,
    )  # fmt: skip


def _volume(tx: Transaction, caller: Caller, volume_id: str) -> Source:
    row = finding.find(tx, caller, volume_id)
    _require(row, statuses.READY, "source volume", "InvalidVolume")
    return Source(
        kind="volume", id=row.id, word="original volume", size=row.size, least=row.size, zone=row.availability_zone,
        volume_type_id=row.volume_type_id, place=Place(row.host, row.backend), bootable=row.bootable,
        image_metadata=row.image_metadata,
    )  # fmt: skip


def _backup(tx: Transaction, caller: Caller, backup_id: str) -> Source:
    row = tx.first(_BACKUP, {"key": backup_id}) if ids.is_uuid(backup_id) else None
    if row is None or (row.project_id != caller.project_id and not caller.is_admin):
        raise not_found("Backup", backup_id[:80])
    _require(row, (statuses.AVAILABLE,), "backup", "InvalidBackup")
    tx.execute(_RESTORING, {"key": row.id, "to": statuses.RESTORING})
    kept = row.volume or {}
    return Source(
        kind="backup", id=row.id, word="backup", size=row.size, least=row.size, host=row.host,
        bootable=bool(kept.get("bootable")), image_metadata=kept.get("image_metadata"),
        metadata=kept.get("metadata") or {},
    )  # fmt: skip


def of_image(tx: Transaction, caller: Caller, image_id: str) -> Source:
    """What a volume of an image is made of; raises BadRequest for one that cannot be used."""
    try:
        image = image_api.find_image(tx, caller, image_id)
    except NotFound:
        raise BadRequest("Invalid image identifier or unable to access requested image.") from None
    if image["status"] != "active":
        raise BadRequest(
            f"Invalid input received: Invalid image identifier or unable to access requested image: image "
            f"{image['id']} is not active.",
            kind="InvalidInput",
        )
    size = image["virtual_size"] or image["size"] or 0
    least = max(-(-size // GIB), image["min_disk"] or 0, 1)
    return Source(
        kind="image", id=image["id"], word="image", least=least, bootable=True,
        volume_type_id=_type_of(image), image_metadata=image_metadata(image),
    )  # fmt: skip


def _type_of(image: Any) -> str | None:
    found = (image["properties"] or {}).get("cinder_img_volume_type")
    return str(found) if found else None


def image_metadata(image: Any) -> dict[str, str]:
    """What a volume of an image remembers of it."""
    core = ("container_format", "disk_format", "checksum", "size", "min_disk", "min_ram")
    properties = {
        str(key): str(value) for key, value in (image["properties"] or {}).items() if not key.startswith("os_glance_")
    }
    named = {"image_id": image["id"], "image_name": image["name"] or ""}
    return {**properties, "signature_verified": "False", **{key: str(image[key]) for key in core}, **named}


def boot_snapshot(image: Any) -> str | None:
    """The snapshot that an image is nothing but the description of (of a server that booted from a volume)."""
    text = (image["properties"] or {}).get("block_device_mapping")
    if not text:
        return None
    try:
        devices = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return None
    for device in devices if isinstance(devices, list) else ():
        if isinstance(device, dict) and device.get("source_type") == "snapshot" and device.get("boot_index") == 0:
            return str(device.get("snapshot_id") or "") or None
    return None
