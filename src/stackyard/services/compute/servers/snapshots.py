"""createImage and createBackup: a server's root disk as an image, reserved in the request and filled by its host."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.services.compute.fields import MetadataKey, Name, Text, Whole, whole
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import abilities, fields, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.compute.volumes import imaging
from stackyard.services.image import api as image_api

SNAPSHOT = "snapshot"
BACKUP = "backup"

_STATES = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED)
_VOLUME_BACKED = "os_compute_api:servers:create_image:allow_volume_backed"

# Of the image that the server was made from, these say nothing of its snapshot.
_NOT_INHERITED = frozenset(
    {
        "cache_in_nova", "bittorrent", "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy",
        "img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid",
    }
)  # fmt: skip
_NOT_INHERITED_PREFIX = "os_glance"


class CreateImage(Body):
    """What stands under createImage."""

    name: Name
    metadata: dict[MetadataKey, Text] | UnsetType = UNSET


class CreateBackup(Body):
    """What stands under createBackup; `rotation` is how many backups of this type are kept."""

    name: Name
    backup_type: Text
    rotation: Whole
    metadata: dict[MetadataKey, Text] | UnsetType = UNSET


def create_image(tx: Transaction, call: Call, body: CreateImage) -> Reply:
    """Begin a snapshot; a lock does not keep from it, since it changes nothing."""
    server = call.target
    require(server, "createImage", _STATES)
    further = _metadata(tx, call, body.metadata)
    kept: list[str] = []
    if is_volume_backed(server):
        call.require(_VOLUME_BACKED, server)
        kept, mapping = imaging.take(tx, call, server, body.name)
        further |= mapping
    else:
        abilities.require(call, server, "snapshot")
    image_id = reserve(tx, call, server, body.name, SNAPSHOT, further)
    name = "create_volume_image" if kept else "create_image"
    arguments = {"image_id": image_id} | ({"snapshots": kept} if kept else {})
    tasks.begin(tx, call, server, "createImage", name=name, task_state="image_snapshot_pending", **arguments)
    if call.since(2, 45):
        return Reply({"image_id": image_id})
    return Reply(headers={"Location": f"{call.root_url}/image/v2/images/{image_id}"})


def create_backup(tx: Transaction, call: Call, body: CreateBackup) -> Reply:
    """Begin a snapshot that takes the place of the oldest one of its type when there are more than `rotation`."""
    server = call.target
    require(server, "createBackup", _STATES)
    if is_volume_backed(server):
        raise BadRequest("Backup is not supported for volume-backed instances.")
    abilities.require(call, server, "snapshot")
    rotation = whole("createBackup.rotation", body.rotation)
    further = _metadata(tx, call, body.metadata) | {"backup_type": body.backup_type}
    image_id = reserve(tx, call, server, body.name, BACKUP, further)
    tasks.begin(
        tx, call, server, "createBackup", name="create_backup", task_state="image_backup", image_id=image_id,
        backup_type=body.backup_type, rotation=rotation,
    )  # fmt: skip
    if call.since(2, 45):
        return Reply({"image_id": image_id})
    return Reply(headers={"Location": call.url(f"/v2.1/images/{image_id}")} if rotation else {})


def is_volume_backed(server: Any) -> bool:
    """Whether a server's root disk is a volume: then it was made from no image."""
    return not server.image_id


def _metadata(tx: Transaction, call: Call, given: dict[str, str] | UnsetType) -> dict[str, str]:
    if given is UNSET:
        return {}
    if not call.since(2, 39):
        fields.require_limit(tx, call, "metadata_items", len(given), "Image metadata count")
    return given


def reserve(
    tx: Transaction, call: Call, server: Any, name: str, image_type: str, further: dict[str, str] | None = None
) -> str:
    """Reserve an image for the server's root disk, with the properties that Nova gives it; its id.

    It is the caller's; the server's project may see it too when it is another one. Raises BadRequest, TooLarge.
    """
    foreign = server.project_id != call.caller.project_id
    image = server.image
    properties = {
        str(key): str(value)
        for key, value in (image.get("properties") or {}).items()
        if key not in _NOT_INHERITED and not key.startswith(_NOT_INHERITED_PREFIX)
    }
    properties |= {key: image[key] for key in ("kernel_id", "ramdisk_id") if image.get(key)}
    properties |= {
        "instance_uuid": server.id,
        "user_id": str(call.caller.user_id),
        "owner_id": str(call.caller.project_id),
        "base_image_ref": server.image_id or "",
        "image_location": SNAPSHOT,
        "image_state": "available",
        "image_type": image_type,
    }
    if foreign:
        properties["instance_owner"] = server.project_id
    return image_api.reserve_snapshot(
        tx,
        call.runtime,
        call.caller,
        name=name,
        properties=properties | (further or {}),
        min_disk=max(int(server.flavor["disk"]), int(image.get("min_disk") or 0)),
        min_ram=int(image.get("min_ram") or 0),
        shared_with=server.project_id if foreign else None,
    )


ACTIONS = (
    Action(name="createImage", operation=create_image, rule="os_compute_api:servers:create_image", body=CreateImage),
    Action(name="createBackup", operation=create_backup, rule="os_compute_api:os-create-backup", body=CreateBackup),
)

POLICIES = (
    Rule("os_compute_api:servers:create_image", MEMBER, "Make an image of a server."),
    Rule(_VOLUME_BACKED, MEMBER, "Make an image of a server that boots from a volume."),
    Rule("os_compute_api:os-create-backup", MEMBER, "Back up a server, keeping so many backups."),
)
