"""The JSON schemas that Glance's clients ask for to learn which attributes there are."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.config import Settings
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.services.image.bodies import STATUSES, VISIBILITIES
from stackyard.services.image.memberships import STATUSES as MEMBER_STATUSES
from stackyard.services.image.metadefs import schemas as metadefs
from stackyard.services.image.properties import standard

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]


def _field(description: str, kind: str | list[str] = "string", **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


def _fixed(description: str, kind: str | list[str] = "string", **more: Any) -> dict[str, Any]:
    return _field(description, kind, readOnly=True, **more)


_TEXT_OR_NULL = ["null", "string"]
_NUMBER_OR_NULL = ["null", "integer"]

_IMAGE: dict[str, Any] = {
    "id": _field("The image's identifier", pattern=_UUID),
    "name": _field("A name for people", _TEXT_OR_NULL, maxLength=255),
    "status": _fixed("Where the image is in its life", enum=list(STATUSES)),
    "visibility": _field("Who may see the image", enum=list(VISIBILITIES)),
    "protected": _field("Whether deleting is refused", "boolean"),
    "os_hidden": _field("Whether lists leave the image out unless asked for hidden ones", "boolean"),
    "checksum": _fixed("MD5 of the data", _TEXT_OR_NULL, maxLength=32),
    "os_hash_algo": _fixed("Algorithm of os_hash_value", _TEXT_OR_NULL, maxLength=64),
    "os_hash_value": _fixed("Digest of the data in hexadecimal", _TEXT_OR_NULL, maxLength=128),
    "owner": _field("Project that owns the image", _TEXT_OR_NULL, maxLength=255),
    "size": _fixed("Bytes of data", _NUMBER_OR_NULL),
    "virtual_size": _fixed("Bytes of the disk that the data describes", _NUMBER_OR_NULL),
    "container_format": _field("What the disk is wrapped in", _TEXT_OR_NULL),
    "disk_format": _field("Format of the disk", _TEXT_OR_NULL),
    "created_at": _fixed("When the image was registered"),
    "updated_at": _fixed("When the image last changed"),
    "tags": _field("Words attached to the image", "array", items={"type": "string", "maxLength": 255}),
    "direct_url": _fixed("Address of the data in its store"),
    "min_ram": _field("MiB of memory that booting needs", "integer"),
    "min_disk": _field("GiB of disk that booting needs", "integer"),
    "self": _fixed("Address of the image"),
    "file": _fixed("Address of the image's data"),
    "stores": _fixed("Stores that hold the data, separated by commas"),
    "schema": _fixed("Address of the image's schema"),
    "locations": _field(
        "Addresses of the data in its stores",
        "array",
        items={
            "type": "object",
            "properties": {
                "url": {"type": "string", "maxLength": 255},
                "metadata": {"type": "object"},
                "validation_data": {
                    "type": "object",
                    "writeOnly": True,
                    "additionalProperties": False,
                    "properties": {
                        "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                        "os_hash_algo": {"type": "string", "maxLength": 64},
                        "os_hash_value": {"type": "string", "maxLength": 128},
                    },
                    "required": ["os_hash_algo", "os_hash_value"],
                },
            },
            "required": ["url", "metadata"],
        },
    ),
}

_MEMBER: dict[str, Any] = {
    "member_id": _field("Project that the image is shared with"),
    "image_id": _field("The image's identifier", pattern=_UUID),
    "created_at": _field("When it was shared"),
    "updated_at": _field("When its status last changed"),
    "status": _field("Whether the project has accepted the image", enum=list(MEMBER_STATUSES)),
    "schema": {"readOnly": True, "type": "string"},
}

_TASK: dict[str, Any] = {
    "id": _field("The task's identifier", pattern=_UUID),
    "image_id": _field("The image that the task is about"),
    "request_id": _field("The request that asked for it"),
    "user_id": _field("Who asked"),
    "type": _field("Kind of task", enum=["import", "api_image_import", "location_import"]),
    "status": _field("Where the task is", enum=["pending", "processing", "success", "failure"]),
    "input": _field("What the task was given", ["null", "object"]),
    "result": _field("What came of it", ["null", "object"]),
    "owner": _field("Project of who asked"),
    "message": _field("Why it failed"),
    "expires_at": _field("When the task is forgotten", _TEXT_OR_NULL),
    "created_at": _field("When it was asked"),
    "updated_at": _field("When it last changed"),
    "self": _field("Address of the task", readOnly=True),
    "schema": _field("Address of the task's schema", readOnly=True),
}


def _one(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "properties": properties}


def _many(name: str, item: dict[str, Any], *, paged: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "array", "items": item}, "schema": {"type": "string"}}
    links = [{"rel": "describedby", "href": "{schema}"}]
    if paged:
        properties |= {"first": {"type": "string"}, "next": {"type": "string"}}
        links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, *links]
    return {"name": name, "properties": properties, "links": links}


SCHEMAS: dict[str, dict[str, Any]] = {
    "member": _one("member", _MEMBER),
    "members": _many("members", _one("member", _MEMBER), paged=False),
    "task": _one("task", _TASK),
    "tasks": _many("tasks", _one("task", _TASK), paged=False),
}
_NAMES = (*SCHEMAS, "image", "images")


def _image(settings: Settings) -> dict[str, Any]:
    """An image's schema: what every image has, the standard properties, and any further text."""
    formats = {
        name: _IMAGE[name] | {"enum": [None, *known]}
        for name, known in (
            ("container_format", settings.image.container_formats),
            ("disk_format", settings.image.disk_formats),
        )
    }
    described = {name: {"is_base": False, **one} for name, one in standard(settings).items()}
    schema = _one("image", described | _IMAGE | formats)
    return schema | {"additionalProperties": {"type": "string"}, "links": _LINKS}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One schema by name."""
    del tx
    name = call.path["name"]
    if name in ("image", "images"):
        image = _image(call.runtime.settings)
        return image if name == "image" else _many("images", image, paged=True)
    return _find(SCHEMAS, name, _NAMES)


def show_metadef(tx: Transaction, call: Call) -> dict[str, Any]:
    """One schema of metadata definitions by name."""
    del tx
    return _find(metadefs.SCHEMAS, call.path["name"], tuple(metadefs.SCHEMAS))


def _find(known: dict[str, dict[str, Any]], name: str, names: tuple[str, ...]) -> dict[str, Any]:
    if name not in known:
        raise NotFound(f"There is no schema {name[:80]!r}; there are {', '.join(sorted(names))}.")
    return known[name]
