"""Server groups: which servers shall be together on a host, or apart."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

server_groups = sa.Table(
    "server_groups",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("policy", sa.String(32), nullable=False),  # affinity, anti-affinity, soft-affinity, soft-anti-affinity
    sa.Column("rules", sa.JSON, nullable=False),  # {"max_server_per_host": 1}, or nothing
    sa.Column("created_at", Moment, nullable=False),
)

server_group_members = sa.Table(
    "server_group_members",
    metadata,
    sa.Column("group_id", sa.ForeignKey("server_groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("server_id", sa.String(36), primary_key=True, index=True),
    sa.Column("added_at", Moment, nullable=False),
)
