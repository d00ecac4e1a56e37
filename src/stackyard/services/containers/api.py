"""What other services may ask of containers."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.containers.containers import tables
from stackyard.services.containers.containers.operations import want_deleted
from stackyard.services.containers.containers.views import row_view


def find_container(tx: Transaction, uuid: str) -> Row[Any] | None:
    """A container's row, or None."""
    return tables.by_uuid(tx, uuid)


def container_view(tx: Transaction, uuid: str) -> dict[str, Any] | None:
    """A container as the API shows it, without links; None when there is none."""
    row = tables.by_uuid(tx, uuid)
    return None if row is None else row_view(row, tx.now)


def delete_container(tx: Transaction, uuid: str) -> None:
    """Want a container gone, whatever its state; it is gone when `find_container` returns None."""
    row = tables.by_uuid(tx, uuid)
    if row is not None:
        want_deleted(tx, row)
