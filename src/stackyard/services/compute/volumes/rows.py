"""The rows of servers' volumes: which server has which, as what, and how far it is with that (`state`)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.compute.tables import block_devices, servers

_b = block_devices.c


class State(StrEnum):
    """Of a server's volume: still being made for it, to be plugged in, there, there and grown, to be taken out."""

    MAKING = "making"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    EXTENDED = "extended"
    DETACHING = "detaching"


PLUGGED = frozenset({State.ATTACHING, State.ATTACHED, State.EXTENDED})
"""The server shall have it."""

_OF_SERVER = (
    sa.select(block_devices)
    .where(_b.server_id == bindparam("server"), _b.volume_id.is_not(None))
    .order_by(_b.created_at, _b.id)
)
_OF_VOLUME = (
    sa.select(block_devices, servers.c.kind, servers.c.host)
    .join(servers, servers.c.id == _b.server_id)
    .where(_b.volume_id == bindparam("volume"))
)
_LOCAL = sa.select(_b.guest_format).where(
    _b.server_id == bindparam("server"), _b.destination_type == "local", _b.source_type == "blank"
)
_INSERT = sa.insert(block_devices)
_DELETE = sa.delete(block_devices).where(_b.id == bindparam("key"))
_UPDATE = sa.update(block_devices).where(_b.id == bindparam("key"))
_updates: dict[tuple[str, ...], sa.Update] = {}


def of_server(tx: Transaction, server_id: str) -> list[Any]:
    """A server's volumes, those that it boots from first, then by the names of their devices."""
    found = tx.all(_OF_SERVER, {"server": server_id})
    return sorted(found, key=lambda row: (_boot_order(row), len(row.device_name or ""), row.device_name or ""))


def _boot_order(row: Any) -> int:
    return row.boot_index if row.boot_index is not None and row.boot_index >= 0 else 1 << 20


def of_volume(tx: Transaction, volume_id: str) -> list[Any]:
    """Whose volume it is: rows with the `kind` and `host` of their servers."""
    return list(tx.all(_OF_VOLUME, {"volume": volume_id}))


def root_of(found: Sequence[Any]) -> Any:
    """The one of a server's volumes that it boots from; None when it boots from a disk of its own."""
    return next((row for row in found if row.boot_index == 0), None)


def local_disks(tx: Transaction, server_id: str) -> list[str | None]:
    """The formats of a server's own further disks that its request named."""
    return [row.guest_format for row in tx.all(_LOCAL, {"server": server_id})]


def insert(tx: Transaction, **values: Any) -> str:
    """Write a new row; its id."""
    row = {
        "id": ids.new_uuid(), "device_name": None, "source_type": "volume", "destination_type": "volume",
        "boot_index": None, "image_id": None, "snapshot_id": None, "volume_id": None, "volume_size": None,
        "volume_type": None, "attachment_id": None, "state": State.ATTACHED, "action_id": None, "device_type": None,
        "disk_bus": None, "guest_format": None, "delete_on_termination": False, "tag": None, "created_at": tx.now,
        **values,
    }  # fmt: skip
    tx.execute(_INSERT, row)
    return str(row["id"])


def update(tx: Transaction, row_id: str, **values: Any) -> None:
    """Write columns of a row."""
    shape = tuple(sorted(values))
    statement = _updates.get(shape)
    if statement is None:
        statement = _updates[shape] = _UPDATE.values({name: bindparam(f"new_{name}") for name in shape})
    tx.execute(statement, {"key": row_id, **{f"new_{name}": value for name, value in values.items()}})


def delete(tx: Transaction, row_id: str) -> None:
    """The server no longer has it."""
    tx.execute(_DELETE, {"key": row_id})
