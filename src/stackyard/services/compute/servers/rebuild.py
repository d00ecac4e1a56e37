"""rebuild: a server's disk is made anew, from an image of the same kind; its ports, id and host stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, or_default, or_none
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.policy import Rule
from stackyard.services.compute import keypairs
from stackyard.services.compute.fields import Flag, MetadataKey, Text, truth
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import bodies, fields, finding, images, snapshots, tasks, views
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.compute.servers.system_metadata import MADE_FROM, without
from stackyard.services.compute.volumes import imaging

_CERTIFICATES = "os_compute_api:servers:rebuild:trusted_certs"
_REIMAGES = (2, 93)
"""Since then the volume that a server boots from is made anew too; before, it stays as it is."""
_SPANS = {
    "description": ((2, 19), bodies.NEWEST),
    "key_name": ((2, 54), bodies.NEWEST),
    "personality": ((2, 1), (2, 56)),
    "user_data": ((2, 57), bodies.NEWEST),
    "trusted_image_certificates": ((2, 63), bodies.NEWEST),
    "hostname": ((2, 90), bodies.NEWEST),
}


class Rebuild(Body):
    """What stands under rebuild; a microversion has those of `_SPANS`."""

    imageRef: str  # noqa: N815 (the API's name)
    name: str | UnsetType = UNSET
    adminPass: str | UnsetType = UNSET  # noqa: N815
    metadata: dict[MetadataKey, Text] | UnsetType = UNSET
    preserve_ephemeral: Flag | UnsetType = UNSET
    disk_config: str | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")
    accessIPv4: str | UnsetType = UNSET  # noqa: N815
    accessIPv6: str | UnsetType = UNSET  # noqa: N815
    personality: list[dict[str, Any]] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    key_name: str | UnsetType | None = UNSET
    user_data: str | UnsetType | None = UNSET
    trusted_image_certificates: list[str] | UnsetType | None = UNSET
    hostname: str | UnsetType = UNSET


def rebuild(tx: Transaction, call: Call, body: Rebuild) -> Reply:
    """Begin to make the server's disk anew; what is said of the server is changed at once."""
    server = call.target
    _check(tx, call, body)
    if body.trusted_image_certificates is not UNSET:
        call.require(_CERTIFICATES, server)
    tasks.require_unlocked(call, server, "rebuild")
    require(server, "rebuild", (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR))
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready", kind="InstanceNotReady")
    password = or_default(body.adminPass, "") or fields.new_password()
    tasks.update(tx, server.id, **_changes(tx, call, server, body))
    reimage = body.imageRef.lower() if snapshots.is_volume_backed(server) and call.since(*_REIMAGES) else None
    tasks.begin(
        tx, call, server, "rebuild", name="rebuild", task_state="rebuilding", admin_password=password,
        preserve_ephemeral=body.preserve_ephemeral is not UNSET and truth(body.preserve_ephemeral), reimage=reimage,
    )  # fmt: skip
    return _reply(tx, call, finding.by_id(tx, server.id), password)


def _check(tx: Transaction, call: Call, body: Rebuild) -> None:
    fields.require_known(call, body, _SPANS, "rebuild")
    fields.check_uuid("rebuild.imageRef", body.imageRef)
    if body.name is not UNSET:
        fields.check_name("rebuild.name", body.name)
    if body.disk_config is not UNSET:
        fields.check_disk_config("rebuild.OS-DCF:diskConfig", body.disk_config)
    if body.accessIPv4 is not UNSET:
        body.accessIPv4 = fields.check_address("rebuild.accessIPv4", body.accessIPv4, 4)
    if body.accessIPv6 is not UNSET:
        body.accessIPv6 = fields.check_address("rebuild.accessIPv6", body.accessIPv6, 6)
    if body.description is not UNSET:
        fields.check_description("rebuild.description", body.description)
    if body.hostname is not UNSET:
        fields.check_hostname(call, "rebuild.hostname", body.hostname)
    if body.metadata is not UNSET:
        fields.check_metadata(tx, call, "rebuild.metadata", body.metadata)
    if isinstance(body.user_data, str):
        fields.check_base64("rebuild.user_data", body.user_data)
    if isinstance(body.key_name, str) and not 1 <= len(body.key_name) <= 255:
        raise InvalidField("rebuild.key_name", "a name has 1 to 255 characters.")
    if body.trusted_image_certificates is not UNSET:
        fields.check_certificates("rebuild.trusted_image_certificates", body.trusted_image_certificates)


_COLUMNS = {
    "name": "name",
    "metadata": "metadata",
    "disk_config": "disk_config",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "description": "description",
    "user_data": "user_data",
    "trusted_image_certificates": "trusted_image_certificates",
    "hostname": "hostname",
}


def _changes(tx: Transaction, call: Call, server: Any, body: Rebuild) -> dict[str, Any]:
    """The server's columns that the request changes, the image first."""
    image = _image(tx, call, server, body.imageRef)
    described = images.snapshot(image)
    images.check_disk_config(described, or_none(body.disk_config))
    found: dict[str, Any] = {
        "image_id": None if snapshots.is_volume_backed(server) else image["id"], "image": described,
        "system_metadata": without(server, MADE_FROM), "progress": 0,
        "fault": None,
    }  # fmt: skip
    found |= {column: getattr(body, name) for name, column in _COLUMNS.items() if getattr(body, name) is not UNSET}
    if body.personality is not UNSET:
        found["personality"] = bodies.read_personality(tx, call, body.personality)
    if body.key_name is not UNSET:
        found |= _key(tx, call, body.key_name)
    return found


def _image(tx: Transaction, call: Call, server: Any, image_id: str) -> Mapping[str, Any]:
    try:
        image = images.find(tx, call, image_id)
    except BadRequest:
        raise BadRequest("Cannot find image for rebuild", kind="ImageNotFound") from None
    on_volume = snapshots.is_volume_backed(server)
    images.check(tx, call, image, server.flavor, on_volume=on_volume)
    if on_volume and not call.since(*_REIMAGES) and imaging.image_of(tx, server) != image["id"]:
        raise BadRequest(
            f"Image {image_id} is unacceptable: Unable to rebuild with a different image for a volume-backed server.",
            kind="ImageUnacceptable",
        )
    if on_volume:
        imaging.require_room(tx, server, image)
    if images.kind_of(image) != server.kind:
        raise BadRequest(
            f"Image {image_id} is unacceptable: it makes servers of the kind {images.kind_of(image)}, and instance "
            f"{server.id} is of the kind {server.kind}.",
            kind="ImageUnacceptable",
        )
    return image


def _key(tx: Transaction, call: Call, name: str | None) -> dict[str, Any]:
    if name is None:
        return dict.fromkeys(("key_name", "key_data", "key_type"))
    try:
        key = keypairs.find(tx, call.caller.user_id, name)
    except NotFound:
        raise BadRequest("Invalid key_name provided.", kind="KeypairNotFound") from None
    return {"key_name": key.name, "key_data": key.public_key, "key_type": key.type}


def _reply(tx: Transaction, call: Call, server: Any, password: str) -> Reply:
    view = views.changed(tx, call, server, user_data=False)
    view["adminPass"] = password
    if call.since(2, 54):
        view["key_name"] = server.key_name
    if call.since(2, 57):
        view["user_data"] = server.user_data
    return Reply({"server": view}, headers={"Location": view["links"][0]["href"]})


ACTIONS = (Action(name="rebuild", operation=rebuild, rule="os_compute_api:servers:rebuild", body=Rebuild),)

POLICIES = (
    Rule("os_compute_api:servers:rebuild", MEMBER, "Make a server's disk anew."),
    Rule(_CERTIFICATES, MEMBER, "Say which certificates a rebuild trusts images by."),
)
