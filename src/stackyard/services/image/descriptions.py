"""What calls of the image API take, where an operation reads it by itself: for the API's description alone."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from stackyard.core.body import OpenBody
from stackyard.services.image.bodies import Attributes

LIST_QUERY = (
    *("limit", "marker", "sort", "sort_key", "sort_dir"),
    *("id", "name", "owner", "status", "visibility", "member_status", "tag", "protected", "os_hidden"),
    *("container_format", "disk_format", "size_min", "size_max", "min_ram", "min_disk", "created_at", "updated_at"),
)


class NewImage(Attributes, forbid_unknown_fields=False):
    """An image to make; any further text is a property of it."""

    id: str | UnsetType = UNSET


class Operation(OpenBody):
    """One change of an image."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any = None


class ImportMethod(OpenBody):
    """Where the data comes from."""

    name: Literal["glance-direct", "web-download", "copy-image", "glance-download"]
    uri: str | UnsetType = UNSET


class Import(OpenBody):
    """An import to begin."""

    method: ImportMethod
    stores: list[str] | UnsetType = UNSET
    all_stores: bool | UnsetType = UNSET
    all_stores_must_succeed: bool | UnsetType = UNSET


class NewMember(OpenBody):
    """A project to share an image with."""

    member: str


class MemberChange(OpenBody):
    """What a project makes of an image that is shared with it."""

    status: Literal["pending", "accepted", "rejected"]


class NewLocation(OpenBody):
    """A place that has the data of an image."""

    url: str
    validation_data: dict[str, str] | UnsetType = UNSET


class NewTask(OpenBody):
    """A task to begin."""

    type: str
    input: dict[str, Any]
