"""What a new cloud has of volumes: the volume type that is used when none is asked for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.volume.tables import volume_types

DEFAULT_TYPE = "__DEFAULT__"

_BY_NAME = sa.select(volume_types.c.id).where(volume_types.c.name == bindparam("name"))


def bootstrap(tx: Transaction) -> None:
    """Make what is not there yet."""
    if tx.first(_BY_NAME, {"name": DEFAULT_TYPE}) is not None:
        return
    row = {
        "id": ids.new_uuid(), "name": DEFAULT_TYPE, "description": "Default Volume Type", "is_public": True,
        "extra_specs": {}, "qos_specs_id": None, "encryption": None, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(sa.insert(volume_types), row)
