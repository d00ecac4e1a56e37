"""Migrations: every move of a server between hosts or flavors."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

migrations = sa.Table(
    "server_moves",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("server_id", sa.String(36), nullable=False, index=True),
    # whose server it is, and whose request it was
    sa.Column("project_id", sa.String(64), nullable=True, index=True),
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("migration_type", sa.String(16), nullable=False),  # migration, resize, live-migration, evacuation
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("source_compute", sa.String(255), nullable=True),
    sa.Column("source_node", sa.String(255), nullable=True),
    sa.Column("dest_compute", sa.String(255), nullable=True),
    sa.Column("dest_node", sa.String(255), nullable=True),
    sa.Column("dest_host", sa.String(255), nullable=True),
    # the flavors' numbers, as Nova shows them
    sa.Column("old_instance_type_id", sa.Integer, nullable=True),
    sa.Column("new_instance_type_id", sa.Integer, nullable=True),
    sa.Column("memory_total", sa.BigInteger, nullable=True),
    sa.Column("memory_processed", sa.BigInteger, nullable=True),
    sa.Column("memory_remaining", sa.BigInteger, nullable=True),
    sa.Column("disk_total", sa.BigInteger, nullable=True),
    sa.Column("disk_processed", sa.BigInteger, nullable=True),
    sa.Column("disk_remaining", sa.BigInteger, nullable=True),
    # what the task needs to know of it
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False, index=True),
    sqlite_autoincrement=True,
)
