"""Images that compute makes of servers: reserved before there is any data, found again by what made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.runtime import Runtime
from stackyard.services.image import bodies, images, memberships, tables
from stackyard.services.image.properties import require_count

_w = tables.words.c
_WITH_SERVER = (
    sa.select(tables.images)
    .where(
        tables.images.c.id.in_(
            sa.select(_w.image_id).where(
                _w.kind == tables.PROPERTY, _w.name == "instance_uuid", _w.value == bindparam("server")
            )
        )
    )
    .order_by(tables.images.c.created_at.desc(), tables.images.c.id)
)


def reserve_snapshot(
    tx: Transaction,
    runtime: Runtime,
    caller: Caller,
    *,
    name: str,
    properties: Mapping[str, str],
    min_disk: int = 0,
    min_ram: int = 0,
    shared_with: str | None = None,
) -> str:
    """Make a queued image of the caller's whose formats are not known yet (`declare` says them); its id.

    `min_disk` is in GiB, `min_ram` in MiB. With `shared_with` a project's, it is shared with that project, else it is
    private. Raises TooLarge (quota), BadRequest for what no image may have.
    """
    visibility = "private" if shared_with is None else "shared"
    given = bodies.attributes({"name": name, "visibility": visibility, "min_disk": min_disk, "min_ram": min_ram})
    kept = {key: bodies.check_property(key, value) for key, value in properties.items()}
    for key in kept:
        if key in bodies.READ_ONLY or key in bodies.WRITABLE:
            raise BadRequest(f"An image's attribute '{key}' cannot be a property of it too.")
        bodies.check_reserved(key)
    require_count(runtime, kept)
    image_id = ids.new_uuid()
    images.count(tx, runtime, caller.project_id)
    tables.insert(tx, images.new_row(tx, image_id, caller.project_id, given, kept))
    if shared_with is not None:
        memberships.join(tx, runtime, {"id": image_id}, shared_with)
    timeline.record(tx, images.KIND, image_id, "create asked", name)
    return image_id


def declare(tx: Transaction, image_id: str, *, disk_format: str, container_format: str) -> bool:
    """Say the formats of a reserved image, before it is filled; False when it has been deleted."""
    row = tables.find(tx, image_id)
    if row is None:
        return False
    if row.status == "queued":
        tables.update(tx, image_id, {"disk_format": disk_format, "container_format": container_format})
    return True


def find_any(tx: Transaction, image_id: str) -> Any:
    """An image's row, whoever's it is; None when there is no such image any more."""
    return tables.find(tx, image_id)


def snapshots_of(tx: Transaction, server_id: str, properties: Mapping[str, str]) -> Sequence[Any]:
    """The images made of a server that have these properties too, newest first."""
    rows = tx.all(_WITH_SERVER, {"server": server_id})
    return [row for row in rows if all(row.properties.get(name) == value for name, value in properties.items())]
