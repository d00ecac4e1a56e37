"""Images of servers that boot from volumes: nothing but a description of snapshots of all that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Forbidden
from stackyard.services.compute.volumes import mappings, rows
from stackyard.services.volume import api as volume_api

_OVER_QUOTA = 413
GIB = 1 << 30


def take(tx: Transaction, call: Call, server: Any, name: str) -> tuple[list[str], dict[str, str]]:
    """Have snapshots made of a server's volumes: their ids, and the properties of the image that describes them.

    Raises Forbidden (quota), BadRequest for a volume of which none can be made now.
    """
    snapshots, mapping = [], []
    for row in rows.of_server(tx, server.id):
        try:
            made = volume_api.snapshot(tx, call.runtime, call.caller, row.volume_id, f"snapshot for {name}", force=True)
        except ApiError as error:
            if error.status == _OVER_QUOTA:
                raise Forbidden(error.message, kind="OverQuota") from error
            raise BadRequest(error.message, kind=error.kind) from error
        snapshots.append(made.id)
        mapping.append(mappings.as_mapping(row, made))
    properties = {
        mappings.MAPPING: msgspec.json.encode(mapping).decode(),
        mappings.VERSION_2: "True",
        "root_device_name": str(server.root_device_name),
    }
    return snapshots, properties


def image_of(tx: Transaction, server: Any) -> str | None:
    """The image that is on the volume which a server boots from."""
    volume = _root(tx, server)
    return None if volume is None else (volume.image_metadata or {}).get("image_id")


def require_room(tx: Transaction, server: Any, image: Mapping[str, Any]) -> None:
    """Raise BadRequest (InvalidVolume) when that volume is too small for an image."""
    volume = _root(tx, server)
    least = max(int(image.get("min_disk") or 0), -(-int(image.get("virtual_size") or image.get("size") or 0) // GIB))
    if volume is not None and volume.size < least:
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} has {volume.size} GiB, and image {image['id']} needs {least}.",
            kind="InvalidVolume",
        )


def _root(tx: Transaction, server: Any) -> Any:
    row = rows.root_of(rows.of_server(tx, server.id))
    return None if row is None else volume_api.rows(tx, [row.volume_id]).get(row.volume_id)
