"""Security groups, their rules, and the rules that new groups begin with."""

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

security_group_default_rules = sa.Table(
    "security_group_default_rules",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name not in ("name", "tags", "project_id")),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("ethertype", sa.String(4), nullable=False),
    sa.Column("protocol", sa.String(40), nullable=True),
    sa.Column("port_range_min", sa.Integer, nullable=True),
    sa.Column("port_range_max", sa.Integer, nullable=True),
    sa.Column("remote_ip_prefix", sa.String(64), nullable=True),
    sa.Column("normalized_cidr", sa.String(64), nullable=True),
    sa.Column("remote_group_id", sa.String(36), nullable=True),
    sa.Column("remote_address_group_id", sa.String(36), nullable=True),
    sa.Column("used_in_default_sg", sa.Boolean, nullable=False),
    sa.Column("used_in_non_default_sg", sa.Boolean, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
)
"""Templates; `remote_group_id` may be PARENT, the new group itself. Of the four that a new cloud has, a deleted one
stays as `withdrawn`, so that it does not come back."""

security_group_default_statefulness = sa.Table(
    "security_group_default_statefulness",
    metadata,
    id_column(),
    sa.Column("project_id", sa.String(64), nullable=True),
    sa.Column("applies_to", sa.String(64), nullable=False, unique=True),
    sa.Column("stateful", sa.Boolean, nullable=False),
)
"""`applies_to` is the project, or empty for the whole cloud: unlike a NULL it is unique."""
