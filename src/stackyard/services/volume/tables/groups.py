"""Groups of volumes, and snapshots of whole groups."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

groups = sa.Table(
    "volume_groups",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("group_type_id", sa.String(36), nullable=False, index=True),
    sa.Column("volume_type_ids", sa.JSON, nullable=False),
    sa.Column("availability_zone", sa.String(255), nullable=False),
    sa.Column("group_snapshot_id", sa.String(36), nullable=True),
    sa.Column("source_group_id", sa.String(36), nullable=True),
    sa.Column("replication_status", sa.String(32), nullable=True),
    sa.Column("host", sa.String(255), nullable=True),
    sa.Column("backend", sa.String(255), nullable=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=True),
)

group_snapshots = sa.Table(
    "volume_group_snapshots",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("group_id", sa.String(36), nullable=False, index=True),
    sa.Column("group_type_id", sa.String(36), nullable=False),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=True),
)
