"""Networks."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column, standard_columns

networks = sa.Table(
    "networks",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, index=True),
    sa.Column("external", sa.Boolean, nullable=False, index=True),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("mtu", sa.Integer, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    sa.Column("network_type", sa.String(32), nullable=False),
    sa.Column("physical_network", sa.String(64), nullable=True),
    sa.Column("segmentation_id", sa.Integer, nullable=True),
    sa.Column("subnet_ids", sa.JSON, nullable=False),
    sa.Column("availability_zone_hints", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("qos_policy_id", sa.String(36), nullable=True, index=True),
    sa.Column("vlan_transparent", sa.Boolean, nullable=True),
    sa.Column("dhcp_agent", sa.Boolean, nullable=False, server_default=sa.true()),
)
"""`network_type`, `physical_network` and `segmentation_id` are those of its first segment; `network_segments` has all.
`dhcp_agent`: whether an agent serves DHCP on it, as an administrator may refuse it."""
