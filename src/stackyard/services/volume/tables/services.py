"""The services of volumes, on each host."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

volume_services = sa.Table(
    "volume_services",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    # volume services have one, the scheduler's and the backup's have ''
    sa.Column("backend", sa.String(255), nullable=False),
    sa.Column("binary", sa.String(64), nullable=False),  # cinder-volume, cinder-scheduler, cinder-backup
    sa.Column("zone", sa.String(255), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.String(255), nullable=True),
    sa.Column("frozen", sa.Boolean, nullable=False),
    sa.Column("replication_status", sa.String(32), nullable=True),
    # of its back end: total and free bytes, protocol, thin, abilities
    sa.Column("capacity", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.UniqueConstraint("host", "backend", "binary"),
    sqlite_autoincrement=True,
)
