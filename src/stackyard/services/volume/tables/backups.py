"""Backups of volumes, transfers of them to other projects, and what went wrong with what was asked."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

backups = sa.Table(
    "volume_backups",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("volume_id", sa.String(36), nullable=False, index=True),
    sa.Column("snapshot_id", sa.String(36), nullable=True),
    sa.Column("parent_id", sa.String(36), nullable=True, index=True),  # what an incremental one goes on from
    sa.Column("metadata", sa.JSON, nullable=False),
    # of the volume, when it was made: name, description, size, type, bootable, metadata, image_metadata
    sa.Column("volume", sa.JSON, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),  # GiB
    sa.Column("container", sa.String(255), nullable=True),
    sa.Column("object_count", sa.Integer, nullable=False),
    sa.Column("availability_zone", sa.String(255), nullable=True),
    sa.Column("encryption_key_id", sa.String(36), nullable=True),
    sa.Column("data_timestamp", Moment, nullable=True),
    sa.Column("host", sa.String(255), nullable=True, index=True),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("fail_reason", sa.String(1000), nullable=True),
    sa.Column("restore_volume_id", sa.String(36), nullable=True),
    sa.Column("task", sa.JSON, nullable=True),  # create, delete, restore
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=True),
)

transfers = sa.Table(
    "volume_transfers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("volume_id", sa.ForeignKey("volumes.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("key_hash", sa.String(128), nullable=False),
    sa.Column("no_snapshots", sa.Boolean, nullable=False),
    sa.Column("source_project_id", sa.String(64), nullable=False, index=True),
    sa.Column("destination_project_id", sa.String(64), nullable=True),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

messages = sa.Table(
    "volume_messages",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("resource_type", sa.String(36), nullable=True),
    sa.Column("resource_id", sa.String(36), nullable=True, index=True),
    sa.Column("event_id", sa.String(120), nullable=False),
    sa.Column("action_id", sa.String(10), nullable=True),
    sa.Column("detail_id", sa.String(10), nullable=True),
    sa.Column("user_message", sa.String(1000), nullable=False),
    sa.Column("message_level", sa.String(16), nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("guaranteed_until", Moment, nullable=False),
)
