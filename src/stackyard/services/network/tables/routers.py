"""Routers and floating IPs."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

routers = sa.Table(
    "routers",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=False),
    sa.Column("gateway_port_id", sa.String(36), nullable=True),
    sa.Column("gateway_network_id", sa.String(36), nullable=True, index=True),
    sa.Column("gateway_ips", sa.JSON, nullable=False),
    sa.Column("enable_snat", sa.Boolean, nullable=False),
    sa.Column("routes", sa.JSON, nullable=False),
    sa.Column("host", sa.String(255), nullable=False, server_default="", index=True),
    sa.Column("ha", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("distributed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("availability_zone_hints", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("flavor_id", sa.String(36), nullable=True),
    sa.Column("gateway_qos_policy_id", sa.String(36), nullable=True, index=True),
    sa.Column("extra_gateways", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("enable_default_route_ecmp", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("enable_ndp_proxy", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("conntrack_helpers", sa.JSON, nullable=False, server_default="[]"),
)
"""The columns named `gateway` are of the first gateway; `extra_gateways` has the others, in order.

`conntrack_helpers` repeats what the table of that name holds, for lists.
"""

router_ports = sa.Table(
    "router_ports",
    metadata,
    sa.Column("router_id", sa.String(36), sa.ForeignKey("routers.id"), primary_key=True),
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id"), primary_key=True, unique=True),
)
"""The router's legs on tenant networks."""

floating_ips = sa.Table(
    "floating_ips",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name != "name"),
    belongs_to("floating_network_id", "networks"),
    sa.Column("floating_ip_address", sa.String(64), nullable=False, index=True),
    sa.Column("floating_port_id", sa.String(36), sa.ForeignKey("ports.id"), nullable=False),
    sa.Column("port_id", sa.String(36), nullable=True, index=True),
    sa.Column("fixed_ip_address", sa.String(64), nullable=True),
    sa.Column("router_id", sa.String(36), nullable=True, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    sa.Column("qos_policy_id", sa.String(36), nullable=True, index=True),
    sa.Column("port_forwardings", sa.JSON, nullable=False, server_default="[]"),
    sa.UniqueConstraint("port_id", "fixed_ip_address"),
)
"""`port_forwardings` repeats what the table of that name holds, for lists."""
