"""Limits that single users have within a project; projects' own, and the defaults', are in core.quota."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata

user_quotas = sa.Table(
    "compute_user_quotas",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(64), primary_key=True),
    sa.Column("resource", sa.String(64), primary_key=True),
    sa.Column("hard_limit", sa.BigInteger, nullable=False),
)
