"""Policies of quality of service and their rules."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

qos_policies = sa.Table(
    "network_qos_policies",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("rules", sa.JSON, nullable=False),
)
"""`rules` are those of `qos_rules` as the API shows them inside their policy."""

qos_rules = sa.Table(
    "network_qos_rules",
    metadata,
    id_column(),
    belongs_to("qos_policy_id", "network_qos_policies"),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("direction", sa.String(8), nullable=True),
    sa.Column("max_kbps", sa.Integer, nullable=True),
    sa.Column("max_burst_kbps", sa.Integer, nullable=True),
    sa.Column("min_kbps", sa.Integer, nullable=True),
    sa.Column("max_kpps", sa.Integer, nullable=True),
    sa.Column("max_burst_kpps", sa.Integer, nullable=True),
    sa.Column("min_kpps", sa.Integer, nullable=True),
    sa.Column("dscp_mark", sa.Integer, nullable=True),
)
"""Rules of all types; a type has the columns that its name in the API says, the others are null."""

qos_default_policies = sa.Table(
    "network_qos_default_policies",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    belongs_to("qos_policy_id", "network_qos_policies"),
)
"""Which policy new networks of a project get; the primary key keeps it to one."""
