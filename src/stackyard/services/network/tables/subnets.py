"""Subnets, and the addresses that are taken in them."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

subnets = sa.Table(
    "subnets",
    metadata,
    id_column(),
    *standard_columns(),
    belongs_to("network_id", "networks"),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("cidr", sa.String(64), nullable=False),
    sa.Column("gateway_ip", sa.String(64), nullable=True),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("ipv6_ra_mode", sa.String(16), nullable=True),
    sa.Column("ipv6_address_mode", sa.String(16), nullable=True),
    sa.Column("allocation_pools", sa.JSON, nullable=False),
    sa.Column("dns_nameservers", sa.JSON, nullable=False),
    sa.Column("host_routes", sa.JSON, nullable=False),
    sa.Column("service_types", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("dns_publish_fixed_ip", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("subnetpool_id", sa.String(36), nullable=True, index=True),
    sa.Column("segment_id", sa.String(36), nullable=True, index=True),
)

ip_allocations = sa.Table(
    "ip_allocations",
    metadata,
    sa.Column("subnet_id", sa.String(36), sa.ForeignKey("subnets.id"), primary_key=True),
    sa.Column("ip_key", sa.String(32), primary_key=True),
    sa.Column("ip_address", sa.String(64), nullable=False),
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
)
"""`ip_key` is the address as a hexadecimal number of fixed width, so that the index is in the order of addresses."""
