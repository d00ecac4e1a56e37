"""Security groups and their rules."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

security_groups = sa.Table(
    "security_groups",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("stateful", sa.Boolean, nullable=False),
)

default_security_groups = sa.Table(
    "default_security_groups",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    belongs_to("security_group_id", "security_groups"),
)
"""Which group is a project's default one; the primary key keeps it to one."""

security_group_rules = sa.Table(
    "security_group_rules",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name not in ("name", "tags")),
    belongs_to("security_group_id", "security_groups"),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("ethertype", sa.String(4), nullable=False),
    sa.Column("protocol", sa.String(40), nullable=True),
    sa.Column("port_range_min", sa.Integer, nullable=True),
    sa.Column("port_range_max", sa.Integer, nullable=True),
    sa.Column("remote_ip_prefix", sa.String(64), nullable=True),
    sa.Column("normalized_cidr", sa.String(64), nullable=True),
    belongs_to("remote_group_id", "security_groups", nullable=True),
    sa.Column("remote_address_group_id", sa.String(36), nullable=True, index=True),
)
