"""What the API shows of an image, a member and a task."""

from __future__ import annotations

from typing import Any

from stackyard.core.clock import iso_z

STORE = "file"
"""The one store: files in the state directory."""

_WITH_DATA = frozenset({"active", "deactivated"})


def image_view(row: Any) -> dict[str, Any]:
    """An image as the API shows it: its attributes and properties side by side."""
    # Taken apart at once, in the table's order: a list builds this for every image of the page.
    (
        image_id, owner, name, status, visibility, disk_format, container_format, size, virtual_size, checksum,
        os_hash_algo, os_hash_value, min_disk, min_ram, protected, os_hidden, tags, properties, _,
        created_at, updated_at,
    ) = row  # fmt: skip
    link = "/v2/images/" + image_id
    view: dict[str, Any] = {
        **properties,
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
    if status in _WITH_DATA:
        view["stores"] = STORE
    return view


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
