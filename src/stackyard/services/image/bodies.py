"""What clients send to make an image: attributes with fixed meanings, and any further text property."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body, convert
from stackyard.core.errors import BadRequest, Forbidden, InvalidField
from stackyard.services.image.formats import CONTAINER_FORMATS, DISK_FORMATS

VISIBILITIES = ("community", "public", "private", "shared")
STATUSES = (
    "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated",
)  # fmt: skip

READ_ONLY = frozenset(
    {
        "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file",
        "schema", "id", "os_hash_algo", "os_hash_value", "stores",
    }
)  # fmt: skip
RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance_"
WRITABLE = frozenset(
    {
        "name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "tags",
        "min_ram", "min_disk",
    }
)  # fmt: skip

NULLABLE = frozenset({"kernel_id", "ramdisk_id"})
_LONGEST_VALUE = 65535
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

Text = Annotated[str, Meta(max_length=255)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Attributes(Body):
    """The attributes that a client may set."""

    name: Text | UnsetType | None = UNSET
    visibility: str | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    os_hidden: bool | UnsetType = UNSET
    owner: Text | UnsetType | None = UNSET
    container_format: str | UnsetType | None = UNSET
    disk_format: str | UnsetType | None = UNSET
    tags: list[Text] | UnsetType = UNSET
    min_ram: Count | UnsetType = UNSET
    min_disk: Count | UnsetType = UNSET


def attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of `document`, each checked; raises BadRequest naming the one that is wrong."""
    decoded: Attributes = convert(dict(document), Attributes, "image")
    found = dict(decoded.given())
    _check_choice("visibility", found.get("visibility", VISIBILITIES[0]), VISIBILITIES)
    _check_choice("disk_format", found.get("disk_format"), (None, *DISK_FORMATS))
    _check_choice("container_format", found.get("container_format"), (None, *CONTAINER_FORMATS))
    for name in ("name", "owner"):
        if isinstance(found.get(name), str):
            _check_text(name, found[name])
    if "tags" in found:
        found["tags"] = check_tags(found["tags"])
    return found


def new_image(document: Any) -> tuple[str | None, dict[str, Any], dict[str, str]]:
    """The id that the client chose if it did, the attributes, and the further properties, of a create's body."""
    if not isinstance(document, dict):
        raise BadRequest("Malformed request body: expected an object.")
    for name in document:
        if name == "id":
            continue
        if name in READ_ONLY:
            raise Forbidden(f"Attribute '{name}' is read-only.")
        check_reserved(name)
    image_id = document.get("id")
    if image_id is not None and not (isinstance(image_id, str) and _UUID.fullmatch(image_id)):
        raise InvalidField("id", f"'{str(image_id)[:80]}' is not a UUID.")
    found = attributes({name: value for name, value in document.items() if name in WRITABLE})
    rest = {name: value for name, value in document.items() if name not in WRITABLE and name != "id"}
    if "locations" in rest:
        raise Forbidden("Locations are not shown here and cannot be set: upload or import the image's data.")
    # Glance's schema lets these be null, which is to have none.
    given = {name: value for name, value in rest.items() if value is not None or name not in NULLABLE}
    properties = {name: check_property(name, value) for name, value in given.items()}
    return image_id, found, properties


def check_reserved(name: str) -> None:
    """Raise Forbidden for a name that only the service itself may use."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def check_property(name: str, value: Any) -> str:
    """The value of a further property: text, as all of them are."""
    if not name or len(name) > 255:
        raise BadRequest("Custom property names must have 1 to 255 characters.")
    _check_text("property name", name)
    if not isinstance(value, str):
        raise InvalidField(name, f"properties are text, not {type(value).__name__}.")
    if len(value) > _LONGEST_VALUE:
        raise InvalidField(name, f"the value has {len(value)} characters; at most {_LONGEST_VALUE} are kept.")
    _check_text(name, value)
    return value


def check_tags(tags: Iterable[str]) -> list[str]:
    """The tags, each once, in order."""
    found = list(dict.fromkeys(tags))
    for tag in found:
        if len(tag) > 255:
            raise InvalidField("tags", "a tag may have at most 255 characters.")
        _check_text("tags", tag)
    return found


def _check_choice(name: str, value: Any, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        known = ", ".join(choice for choice in choices if choice is not None)
        raise InvalidField(name, f"'{str(value)[:80]}' is not one of {known}.")


def _check_text(name: str, value: str) -> None:
    if "\0" in value:
        raise InvalidField(name, "NUL characters cannot be kept.")
