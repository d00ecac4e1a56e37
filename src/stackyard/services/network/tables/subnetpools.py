"""Subnet pools, address scopes, and the topologies that are built of the default pools."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

address_scopes = sa.Table(
    "address_scopes",
    metadata,
    id_column(),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("pools_changed", sa.BigInteger, nullable=False, default=0),
)
"""`pools_changed` is written whenever a pool of the scope gets prefixes, so that of two such transactions, which could
not see each other's prefixes, one is run again."""

subnetpools = sa.Table(
    "subnetpools",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("prefixes", sa.JSON, nullable=False),
    sa.Column("default_prefixlen", sa.Integer, nullable=False),
    sa.Column("min_prefixlen", sa.Integer, nullable=False),
    sa.Column("max_prefixlen", sa.Integer, nullable=False),
    sa.Column("default_quota", sa.BigInteger, nullable=True),
    sa.Column("is_default", sa.Boolean, nullable=False),
    belongs_to("address_scope_id", "address_scopes", nullable=True),
    sa.Column("allocations", sa.BigInteger, nullable=False, default=0),
)
"""`allocations` is written whenever a subnet is cut out of the pool or joins it, so that of two such transactions one
is run again."""

sa.Index(
    "uq_subnetpools_default",
    subnetpools.c.ip_version,
    unique=True,
    # As text, which both databases read: migrations are written from one of them for both.
    sqlite_where=sa.text("is_default"),
    postgresql_where=sa.text("is_default"),
)

auto_allocated_topologies = sa.Table(
    "auto_allocated_topologies",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("network_id", sa.String(36), sa.ForeignKey("networks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("router_id", sa.String(36), nullable=True),
)
"""One a project. When its network is deleted, so is it, and the next asking builds another."""
