"""An image's metadata as headers: `x-image-meta-name: busybox`, `x-image-meta-property-os: linux`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.image.bodies import READ_ONLY, RESERVED, WRITABLE

META = "x-image-meta-"
PROPERTY = "x-image-meta-property-"

_NUMBERS = frozenset({"size", "min_disk", "min_ram", "virtual_size"})
_FLAGS = frozenset({"is_public", "protected", "deleted"})
_TEXTS = frozenset(
    {
        "location", "disk_format", "container_format", "name", "status", "copy_from", "uri", "checksum", "created_at",
        "updated_at", "deleted_at", "owner", "store", "id",
    }
)  # fmt: skip
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_AMAZON = frozenset({"aki", "ari", "ami"})
_LARGEST = 2**63 - 1
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Meta:
    """What a client says of an image; `attributes` by version 1's names, only those it sent."""

    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """An attribute, None when it was not sent."""
        return self.attributes.get(name)

    def document(self) -> dict[str, Any]:
        """The attributes that a client may set, by version 2's names, and the properties beside them."""
        kept = ("name", "disk_format", "container_format", "min_disk", "min_ram", "protected")
        return {name: self.attributes[name] for name in kept if name in self.attributes} | self.properties


def read(headers: Iterable[tuple[str, str]]) -> Meta:
    """The metadata in a request's headers. Raises BadRequest naming the header that cannot be read."""
    meta = Meta()
    for header, value in headers:
        name, text = unquote(header).lower(), unquote(_utf8(value))
        if name.startswith(PROPERTY):
            key = name.removeprefix(PROPERTY).replace("-", "_")
            if key in WRITABLE or key in READ_ONLY or key in RESERVED:
                raise BadRequest(f"Bad header: {header[:255]}: {key} is an attribute, and no property can be named so.")
            meta.properties[key] = text
        elif name.startswith(META):
            key = name.removeprefix(META).replace("-", "_")
            meta.attributes[key] = _attribute(key, text, header)
    _match_amazon(meta.attributes)
    return meta


def _utf8(value: str) -> str:
    """Headers are decoded as Latin-1; clients from before percent encoding sent UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _attribute(key: str, text: str, header: str) -> Any:
    if key in _NUMBERS:
        if key == "virtual_size" and text == "None":
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _LARGEST):
            raise InvalidField(key, f"Cannot convert image {key} '{text[:40]}' to an integer.")
        return int(text)
    if key in _FLAGS:
        return text.strip().lower() in _TRUE
    if key not in _TEXTS:
        raise BadRequest(f"Bad header: {header[:255]}")
    return text or None


def _match_amazon(attributes: dict[str, Any]) -> None:
    """Amazon's formats are disk and container format at once."""
    disk, container = attributes.get("disk_format"), attributes.get("container_format")
    if disk in _AMAZON or container in _AMAZON:
        if disk is not None and container is not None and disk != container:
            raise BadRequest(
                "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', "
                "'ari', or 'ami', the container and disk formats must match."
            )
        attributes["disk_format"] = attributes["container_format"] = disk or container


def view(row: Any) -> dict[str, Any]:
    """An image as version 1 shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "size": row.size or 0,
        "virtual_size": row.virtual_size,
        "disk_format": row.disk_format,
        "container_format": row.container_format,
        "min_disk": row.min_disk,
        "min_ram": row.min_ram,
        "is_public": row.visibility == "public",
        "checksum": row.checksum,
        "owner": row.project_id,
        "protected": row.protected,
        "created_at": row.created_at.isoformat(timespec="microseconds")[:26],
        "updated_at": row.updated_at.isoformat(timespec="microseconds")[:26],
        "deleted_at": None,
        "deleted": False,
        "properties": row.properties,
    }


def brief_view(row: Any) -> dict[str, Any]:
    """The few attributes of an image that the short list has."""
    full = view(row)
    return {name: full[name] for name in ("id", "name", "size", "disk_format", "container_format", "checksum")}


def write(row: Any) -> dict[str, str]:
    """An image's metadata as headers of an answer; what is None is left out."""
    image = view(row)
    properties: Mapping[str, str] = image.pop("properties")
    found = {META + name: _sent(str(value)) for name, value in image.items() if value is not None}
    found |= {PROPERTY + quote(name.lower(), safe=":"): _sent(value) for name, value in properties.items()}
    if row.checksum:
        found["ETag"] = row.checksum
    return found


def _sent(value: str) -> str:
    """A value as a header may hold it: UTF-8, and what would end the header percent-encoded."""
    safe = _UNSAFE.sub(lambda match: quote(match[0]), value)
    return safe.strip().encode("utf-8", "replace").decode("latin-1")
