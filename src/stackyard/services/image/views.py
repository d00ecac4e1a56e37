"""What the API shows of an image, a member and a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackyard.core.call import Call
from stackyard.core.clock import iso_z
from stackyard.services.image import properties
from stackyard.services.image.stores.registry import Stores, stores_of
from stackyard.services.image.tables import WITH_DATA

STORE = "file"
"""The store of images from before there were several."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What of images' locations a caller is shown, and the stores, which know their order and addresses."""

    stores: Stores
    locations: bool
    direct_url: bool
    allowed: Callable[[Any], bool]
    """Whether the caller may know where an image's data lies; asked of a row when addresses are shown at all."""
    readable: Callable[[str], bool] | None
    """Whether the caller may see the property of a name; None when he may see all."""

    @classmethod
    def to(cls, call: Call) -> Shown:
        """As the operator has set it, to whoever calls."""
        settings = call.runtime.settings.image

        def allowed(row: Any) -> bool:
            return call.allows("get_image_location", {**row._mapping, "owner": row.project_id})

        stores = stores_of(call.runtime)
        return cls(
            stores, settings.show_multiple_locations, settings.show_image_direct_url, allowed, properties.reader(call)
        )


def location_view(stores: Stores, image_id: str, location: Mapping[str, Any]) -> dict[str, Any]:
    """A location with its address."""
    metadata = {**location.get("metadata", {}), "store": location["store"]}
    return {"url": stores.url(image_id, location), "metadata": metadata}


def image_view(row: Any, shown: Shown) -> dict[str, Any]:
    """An image as the API shows it: its attributes and properties side by side."""
    # Taken apart at once, in the table's order: a list builds this for every image of the page.
    (
        image_id, owner, name, status, visibility, disk_format, container_format, size, virtual_size, checksum,
        os_hash_algo, os_hash_value, min_disk, min_ram, protected, os_hidden, tags, custom, _,
        locations, created_at, updated_at,
    ) = row  # fmt: skip
    link = "/v2/images/" + image_id
    if shown.readable is not None:
        custom = {name: value for name, value in custom.items() if shown.readable(name)}
    view: dict[str, Any] = {
        **custom,
        "name": name,
        "disk_format": disk_format,
        "container_format": container_format,
        "visibility": visibility,
        "size": size,
        "virtual_size": virtual_size,
        "status": status,
        "checksum": checksum,
        "protected": protected,
        "min_ram": min_ram,
        "min_disk": min_disk,
        "owner": owner,
        "os_hidden": os_hidden,
        "os_hash_algo": os_hash_algo,
        "os_hash_value": os_hash_value,
        "id": image_id,
        "created_at": iso_z(created_at),
        "updated_at": iso_z(updated_at),
        "tags": tags,
        "self": link,
        "file": link + "/file",
        "schema": "/v2/schemas/image",
    }
    if locations is None:
        locations = [{"store": STORE}] if status in WITH_DATA else []
    if len(locations) > 1:
        locations = shown.stores.by_weight(locations)
    if locations:
        view["stores"] = ",".join(dict.fromkeys(location["store"] for location in locations))
    if shown.locations or shown.direct_url:
        _add_addresses(view, locations if shown.allowed(row) else [], shown)
    return view


def _add_addresses(view: dict[str, Any], locations: Sequence[Mapping[str, Any]], shown: Shown) -> None:
    if shown.direct_url and locations:
        view["direct_url"] = shown.stores.url(view["id"], locations[0])
    if shown.locations:
        view["locations"] = [location_view(shown.stores, view["id"], location) for location in locations]


def member_view(row: Any) -> dict[str, Any]:
    """A project that an image is shared with."""
    return {
        "member_id": row.member_id,
        "image_id": row.image_id,
        "status": row.status,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "schema": "/v2/schemas/member",
    }


def task_view(row: Any) -> dict[str, Any]:
    """A task, as an image's own list of tasks shows it."""
    return {
        "id": row.id,
        "image_id": row.image_id,
        "type": row.type,
        "status": row.status,
        "owner": row.project_id,
        "user_id": row.user_id,
        "request_id": row.request_id,
        "input": row.input,
        "result": row.result,
        "message": row.message,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "expires_at": iso_z(row.expires_at) if row.expires_at else None,
        "deleted": False,
        "deleted_at": None,
    }
