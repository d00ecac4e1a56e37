"""What a new cloud has of volumes: the volume type that is used when none is asked for, and that of old groups."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.volume.tables import group_types, volume_types

DEFAULT_TYPE = "__DEFAULT__"

LEGACY_GROUP_TYPE = "default_cgsnapshot_type"
"""The group type of consistency groups, which have calls of their own."""

_GROUP_TYPE = sa.select(group_types.c.id).where(group_types.c.name == bindparam("name"))
_BY_NAME = sa.select(volume_types.c.id).where(volume_types.c.name == bindparam("name"))


def bootstrap(tx: Transaction) -> None:
    """Make what is not there yet."""
    moments = {"created_at": tx.now, "updated_at": None}
    if tx.first(_BY_NAME, {"name": DEFAULT_TYPE}) is None:
        row = {
            "id": ids.new_uuid(), "name": DEFAULT_TYPE, "description": "Default Volume Type", "is_public": True,
            "extra_specs": {}, "qos_specs_id": None, "encryption": None,
        }  # fmt: skip
        tx.execute(sa.insert(volume_types), row | moments)
    if tx.first(_GROUP_TYPE, {"name": LEGACY_GROUP_TYPE}) is None:
        row = {
            "id": ids.new_uuid(), "name": LEGACY_GROUP_TYPE, "is_public": True,
            "description": "Default group type for migrating cgsnapshot",
            "group_specs": {"consistent_group_snapshot_enabled": "<is> True"},
        }  # fmt: skip
        tx.execute(sa.insert(group_types), row | moments)
