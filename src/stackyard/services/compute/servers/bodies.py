"""What requests about servers say: the bodies of create and update, checked field by field."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.compute.servers import fields

NEWEST = (2, 999)
Flag = bool | str


class NewServer(Body):
    """POST /servers: what stands under `server`. Fields have Nova's names; a microversion has those of `SPANS`."""

    name: str
    flavorRef: str | int  # noqa: N815 (the API's name)
    imageRef: str | UnsetType = UNSET  # noqa: N815
    adminPass: str | UnsetType = UNSET  # noqa: N815
    metadata: dict[str, Any] | UnsetType = UNSET
    networks: list[dict[str, Any]] | str | UnsetType = UNSET
    disk_config: str | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")
    accessIPv4: str | UnsetType = UNSET  # noqa: N815
    accessIPv6: str | UnsetType = UNSET  # noqa: N815
    personality: list[dict[str, Any]] | UnsetType = UNSET
    availability_zone: str | UnsetType = UNSET
    block_device_mapping: list[dict[str, Any]] | UnsetType = UNSET
    block_device_mapping_v2: list[dict[str, Any]] | UnsetType = UNSET
    config_drive: Flag | UnsetType = UNSET
    key_name: str | UnsetType = UNSET
    min_count: int | str | UnsetType = UNSET
    max_count: int | str | UnsetType = UNSET
    return_reservation_id: Flag | UnsetType = UNSET
    security_groups: list[dict[str, Any]] | UnsetType = UNSET
    user_data: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    tags: list[Any] | UnsetType = UNSET
    trusted_image_certificates: list[str] | UnsetType | None = UNSET
    host: str | UnsetType = UNSET
    hypervisor_hostname: str | UnsetType = UNSET
    hostname: str | UnsetType = UNSET


SPANS = {
    "description": ((2, 19), NEWEST),
    "tags": ((2, 52), NEWEST),
    "personality": ((2, 1), (2, 56)),
    "trusted_image_certificates": ((2, 63), NEWEST),
    "host": ((2, 74), NEWEST),
    "hypervisor_hostname": ((2, 74), NEWEST),
    "hostname": ((2, 90), NEWEST),
}


class NewServerDocument(Body):
    """POST /servers: the whole body."""

    server: NewServer
    hints: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="os:scheduler_hints")
    old_hints: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="OS-SCH-HNT:scheduler_hints")


class ServerChanges(Body):
    """PUT /servers/{id}: what stands under `server`."""

    name: str | UnsetType = UNSET
    disk_config: str | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")
    accessIPv4: str | UnsetType = UNSET  # noqa: N815
    accessIPv6: str | UnsetType = UNSET  # noqa: N815
    description: str | UnsetType | None = UNSET
    hostname: str | UnsetType = UNSET
    pinned_availability_zone: str | UnsetType | None = UNSET


CHANGES_SPANS = {
    "description": ((2, 19), NEWEST),
    "hostname": ((2, 90), NEWEST),
    "pinned_availability_zone": ((2, 104), NEWEST),
}


def check_new(tx: Transaction, call: Call, body: NewServer) -> None:
    """Refuse what the types alone let through; raises InvalidField, BadRequest, Forbidden (quota)."""
    fields.require_known(call, body, SPANS, "server")
    fields.check_name("server.name", body.name)
    _check_common(call, body)
    if isinstance(body.flavorRef, str) and not body.flavorRef:
        raise InvalidField("server.flavorRef", "it is empty.")
    if body.imageRef is not UNSET and body.imageRef:
        fields.check_uuid("server.imageRef", body.imageRef)
    if body.metadata is not UNSET:
        fields.check_metadata(tx, call, "server.metadata", body.metadata)
    for field in ("availability_zone", "key_name"):
        value = getattr(body, field)
        if value is not UNSET:
            fields.check_name(f"server.{field}", value)
    if body.user_data is not UNSET:
        fields.check_base64("server.user_data", body.user_data)
    for field in ("host", "hypervisor_hostname"):
        value = getattr(body, field)
        if value is not UNSET:
            fields.check_fqdn(f"server.{field}", value)
    if body.trusted_image_certificates is not UNSET:
        fields.check_certificates("server.trusted_image_certificates", body.trusted_image_certificates)
    if call.since(2, 37) and body.networks is UNSET:
        raise InvalidField("server.networks", "it is required since microversion 2.37: auto, none or a list.")


def _check_common(call: Call, body: NewServer | ServerChanges) -> None:
    if body.disk_config is not UNSET:
        fields.check_disk_config("server.OS-DCF:diskConfig", body.disk_config)
    if body.accessIPv4 is not UNSET:
        body.accessIPv4 = fields.check_address("server.accessIPv4", body.accessIPv4, 4)
    if body.accessIPv6 is not UNSET:
        body.accessIPv6 = fields.check_address("server.accessIPv6", body.accessIPv6, 6)
    if body.description is not UNSET:
        fields.check_description("server.description", body.description)
    if body.hostname is not UNSET:
        fields.check_hostname(call, "server.hostname", body.hostname)


def check_changes(call: Call, body: ServerChanges) -> None:
    """The same for an update."""
    fields.require_known(call, body, CHANGES_SPANS, "server")
    if body.name is not UNSET:
        fields.check_name("server.name", body.name)
    _check_common(call, body)
    zone = body.pinned_availability_zone
    if zone is not UNSET and zone is not None and not 1 <= len(zone) <= 255:
        raise InvalidField("server.pinned_availability_zone", "it has 1 to 255 characters, or is null.")


def counts(body: NewServer) -> tuple[int, int]:
    """The fewest and the most servers that are wanted."""
    least = 1 if body.min_count is UNSET else fields.read_count("server.min_count", body.min_count)
    most = least if body.max_count is UNSET else fields.read_count("server.max_count", body.max_count)
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    return least, most


def read_personality(tx: Transaction, call: Call, given: list[dict[str, Any]] | UnsetType) -> list[dict[str, str]]:
    """The files to put in, contents as given (base64); raises InvalidField, Forbidden (quota)."""
    if given is UNSET:
        return []
    fields.require_limit(tx, call, "injected_files", len(given), "the number of personality files")
    found = []
    for index, item in enumerate(given):
        field = f"server.personality[{index}]"
        if item.keys() - {"path", "contents"} or not all(isinstance(value, str) for value in item.values()):
            raise InvalidField(field, "a file has a path and contents, both texts.")
        path, contents = item.get("path", ""), item.get("contents", "")
        data = fields.check_base64(f"{field}.contents", contents, limit=16 * 1024 * 1024)
        fields.require_limit(tx, call, "injected_file_path_bytes", len(path.encode()), "the length of a file's path")
        fields.require_limit(tx, call, "injected_file_content_bytes", len(data), "the size of a file's contents")
        if not path or "\x00" in path:
            raise InvalidField(f"{field}.path", "it is empty.")
        found.append({"path": path, "contents": contents})
    return found


_UUID_HINTS = ("group", "different_host", "same_host")


def read_hints(document: NewServerDocument) -> dict[str, Any]:
    """The scheduler's hints, as given; raises InvalidField for those that are known and of another form."""
    given = document.hints if document.hints is not UNSET else document.old_hints
    hints = {} if given is UNSET else given
    for name in _UUID_HINTS:
        if name in hints:
            values = hints[name] if isinstance(hints[name], list) else [hints[name]]
            for value in values:
                fields.check_uuid(f"os:scheduler_hints.{name}", value)
    if "query" in hints and not isinstance(hints["query"], str | dict):
        raise InvalidField("os:scheduler_hints.query", "it is a text or an object.")
    if "target_cell" in hints and not isinstance(hints["target_cell"], str):
        raise InvalidField("os:scheduler_hints.target_cell", "it is a text.")
    if "different_cell" in hints and not isinstance(hints["different_cell"], str | list):
        raise InvalidField("os:scheduler_hints.different_cell", "it is a text or a list.")
    if "build_near_host_ip" in hints:
        fields.check_address("os:scheduler_hints.build_near_host_ip", str(hints["build_near_host_ip"]))
    cidr = hints.get("cidr")
    if "cidr" in hints and not (isinstance(cidr, str) and cidr.startswith("/")):
        raise InvalidField("os:scheduler_hints.cidr", "it is a text such as /24.")
    return hints


def group_of(hints: dict[str, Any]) -> str | None:
    """The server group that the hints name."""
    group = hints.get("group")
    if isinstance(group, list):
        return str(group[0]) if group else None
    return group
