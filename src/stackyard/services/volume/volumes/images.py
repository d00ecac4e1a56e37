"""Images and volumes: a volume's content as a new image, an image's as a volume's new content."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, NotFound
from stackyard.core.microversion import Microversion
from stackyard.services.image import api as image_api
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.fields import Description, Flag, Uuid, truth
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import sources
from stackyard.services.volume.volumes.views import shown

CORE = frozenset({
    "checksum", "container_format", "disk_format", "image_name", "image_id", "min_disk", "min_ram", "name", "size",
    "signature_verified",
})  # fmt: skip
"""What an image has of itself: not given on to the image that is made of its volume."""


class Upload(Body):
    """os-volume_upload_image."""

    image_name: Annotated[str, Meta(min_length=1, max_length=255)]
    force: Flag = False
    disk_format: Literal["raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx", "ploop"] = "raw"
    container_format: Description | None = "bare"


class UploadShared(Upload):
    """3.1: who may see the image, and whether it is protected."""

    visibility: Literal["community", "public", "private", "shared"] | UnsetType = UNSET
    protected: Flag = False


class Reimage(Body):
    """os-reimage."""

    image_id: Uuid
    reimage_reserved: Flag = False


def upload_body(version: Microversion | None) -> type[Upload]:
    """The body of an upload at a microversion."""
    return Upload if version is not None and version < (3, 1) else UploadShared


def upload(tx: Transaction, call: Call, body: Upload) -> dict[str, Any]:
    """os-volume_upload_image: an image of the caller's is reserved, and filled by the volume's host."""
    volume = call.target
    allowed = statuses.READY if truth(body.force) else (statuses.AVAILABLE,)
    if volume.status not in allowed:
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)}; it is {volume.status}.",
            kind="InvalidVolume",
        )
    visibility = "private" if call.since(3, 1) else "shared"
    protected = isinstance(body, UploadShared) and truth(body.protected)
    if isinstance(body, UploadShared) and body.visibility is not UNSET:
        visibility = body.visibility
    if visibility == "public":
        call.require("volume_extension:volume_actions:upload_public", volume)
    formats = {"disk_format": body.disk_format, "container_format": body.container_format or "bare"}
    try:
        image_id = image_api.reserve_image(
            tx, call.runtime, call.caller, name=body.image_name, visibility=visibility, **formats,
            properties=_properties(volume), protected=protected,
        )  # fmt: skip
    except ApiError as error:
        raise BadRequest(error.message) from error
    tasks.begin_for(tx, call, volume, "upload", statuses.UPLOADING, image_id=image_id, status=volume.status, **formats)
    kind = types.row(tx, volume.volume_type_id)
    told = {
        "id": volume.id, "updated_at": shown(tx.now), "status": statuses.UPLOADING,
        "display_description": volume.description, "size": volume.size,
        "volume_type": None if kind is None else _type_view(kind), "image_id": image_id, **formats,
        "image_name": body.image_name,
    }  # fmt: skip
    if call.since(3, 1):
        told |= {"protected": protected, "visibility": visibility}
    return {"os-volume_upload_image": told}


def _type_view(kind: Any) -> dict[str, Any]:
    return {
        "id": kind.id, "name": kind.name, "description": kind.description, "is_public": kind.is_public,
        "qos_specs_id": kind.qos_specs_id, "created_at": shown(kind.created_at), "updated_at": shown(kind.updated_at),
        "deleted_at": None, "deleted": False, "extra_specs": dict(kind.extra_specs),
    }  # fmt: skip


def _properties(volume: Any) -> dict[str, str]:
    return {
        key: value
        for key, value in (volume.image_metadata or {}).items()
        if key not in CORE and not key.startswith(("os_glance_", "os_hash_")) and isinstance(value, str)
    }


def reimage(tx: Transaction, call: Call, body: Reimage) -> None:
    """os-reimage (3.68): the volume is to begin with an image's content again."""
    volume = call.target
    reserved = volume.status == statuses.RESERVED
    if reserved:
        call.require("volume:reimage_reserved", volume)
    if len(state.of_volume(tx, volume.id)) > 1:
        raise Conflict("Cannot re-image a volume which is attached to more than one server.")
    allowed = [statuses.AVAILABLE, statuses.ERROR]
    if truth(body.reimage_reserved):
        allowed.append(statuses.RESERVED)
    if volume.status not in allowed or volume.host is None:
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)}, but current status is "
            f"{volume.status}.",
            kind="InvalidVolume",
        )
    source = sources.of_image(tx, call.caller, _image(tx, call, body.image_id))
    if source.least > volume.size:
        raise BadRequest(
            f"Invalid input received: Size of specified image {source.least}GB is larger than volume size "
            f"{volume.size}GB.",
            kind="InvalidInput",
        )
    status = statuses.AVAILABLE if volume.status == statuses.ERROR else volume.status
    tasks.update(tx, volume.id, image_metadata=source.image_metadata, image_id=source.id, bootable=True)
    tasks.begin_for(tx, call, volume, "reimage", statuses.DOWNLOADING, image_id=source.id, status=status)


def _image(tx: Transaction, call: Call, image_id: str) -> str:
    try:
        return str(image_api.find_image(tx, call.caller, image_id)["id"])
    except NotFound:
        raise NotFound(f"Image {image_id} could not be found.", kind="ImageNotFound") from None


ACTIONS = (
    Action(
        name="os-volume_upload_image", operation=upload, rule="volume_extension:volume_actions:upload_image",
        body=upload_body,
    ),
    Action(name="os-reimage", operation=reimage, rule="volume:reimage", body=Reimage, since=Microversion(3, 68)),
)  # fmt: skip
