"""The network service's rows.

What a list shows of a resource (a port's addresses and groups, a network's subnets, tags) stands as JSON in its own
row, so that a list is one query; the tables beside it (`ip_allocations`, `port_security_groups`, `tags`) hold the same
facts where they must be unique or searched. Both are written by the same functions, in the same transaction.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata


def _id(name: str = "id", *, primary_key: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(36), primary_key=primary_key, nullable=False)


def _standard() -> list[sa.Column[Any]]:
    """The attributes that every Neutron resource has."""
    return [
        sa.Column("project_id", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False, default=""),
        sa.Column("description", sa.String(255), nullable=False, default=""),
        sa.Column("tags", sa.JSON, nullable=False, default=list),
        sa.Column("revision_number", sa.BigInteger, nullable=False, default=0),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
    ]


def _belongs(name: str, table: str, *, nullable: bool = False, index: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(36), sa.ForeignKey(f"{table}.id"), nullable=nullable, index=index)


networks = sa.Table(
    "networks",
    metadata,
    _id(),
    *_standard(),
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
)

subnets = sa.Table(
    "subnets",
    metadata,
    _id(),
    *_standard(),
    _belongs("network_id", "networks"),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("cidr", sa.String(64), nullable=False),
    sa.Column("gateway_ip", sa.String(64), nullable=True),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("ipv6_ra_mode", sa.String(16), nullable=True),
    sa.Column("ipv6_address_mode", sa.String(16), nullable=True),
    sa.Column("allocation_pools", sa.JSON, nullable=False),
    sa.Column("dns_nameservers", sa.JSON, nullable=False),
    sa.Column("host_routes", sa.JSON, nullable=False),
)

security_groups = sa.Table(
    "security_groups",
    metadata,
    _id(),
    *_standard(),
    sa.Column("stateful", sa.Boolean, nullable=False),
)

default_security_groups = sa.Table(
    "default_security_groups",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    _belongs("security_group_id", "security_groups"),
)
"""Which group is a project's default one; the primary key keeps it to one."""

security_group_rules = sa.Table(
    "security_group_rules",
    metadata,
    _id(),
    *(column for column in _standard() if column.name not in ("name", "tags")),
    _belongs("security_group_id", "security_groups"),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("ethertype", sa.String(4), nullable=False),
    sa.Column("protocol", sa.String(40), nullable=True),
    sa.Column("port_range_min", sa.Integer, nullable=True),
    sa.Column("port_range_max", sa.Integer, nullable=True),
    sa.Column("remote_ip_prefix", sa.String(64), nullable=True),
    sa.Column("normalized_cidr", sa.String(64), nullable=True),
    _belongs("remote_group_id", "security_groups", nullable=True),
)

ports = sa.Table(
    "ports",
    metadata,
    _id(),
    *_standard(),
    _belongs("network_id", "networks", index=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=False),
    sa.Column("mac_address", sa.String(32), nullable=False),
    sa.Column("device_id", sa.String(255), nullable=False, index=True),
    sa.Column("device_owner", sa.String(255), nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("fixed_ips", sa.JSON, nullable=False),
    sa.Column("security_group_ids", sa.JSON, nullable=False),
    sa.Column("allowed_address_pairs", sa.JSON, nullable=False),
    sa.Column("counted", sa.Boolean, nullable=False),
    sa.Column("binding_host", sa.String(255), nullable=False, index=True),
    sa.Column("binding_vnic_type", sa.String(64), nullable=False),
    sa.Column("binding_profile", sa.JSON, nullable=False),
    sa.Column("netns", sa.String(255), nullable=True),
    sa.Column("device", sa.String(15), nullable=True),
    sa.UniqueConstraint("network_id", "mac_address"),
)
"""`counted`: whether it counts against its project's quota. `netns` and `device`: where it is wired, None: nowhere."""

port_security_groups = sa.Table(
    "port_security_groups",
    metadata,
    sa.Column("security_group_id", sa.String(36), sa.ForeignKey("security_groups.id"), primary_key=True),
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True, index=True),
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

routers = sa.Table(
    "routers",
    metadata,
    _id(),
    *_standard(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=False),
    sa.Column("gateway_port_id", sa.String(36), nullable=True),
    sa.Column("gateway_network_id", sa.String(36), nullable=True, index=True),
    sa.Column("gateway_ips", sa.JSON, nullable=False),
    sa.Column("enable_snat", sa.Boolean, nullable=False),
    sa.Column("routes", sa.JSON, nullable=False),
)

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
    _id(),
    *(column for column in _standard() if column.name != "name"),
    _belongs("floating_network_id", "networks"),
    sa.Column("floating_ip_address", sa.String(64), nullable=False, index=True),
    sa.Column("floating_port_id", sa.String(36), sa.ForeignKey("ports.id"), nullable=False),
    sa.Column("port_id", sa.String(36), nullable=True, index=True),
    sa.Column("fixed_ip_address", sa.String(64), nullable=True),
    sa.Column("router_id", sa.String(36), nullable=True, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    sa.UniqueConstraint("port_id", "fixed_ip_address"),
)

resource_tags = sa.Table(
    "network_tags",
    metadata,
    sa.Column("resource_id", sa.String(36), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True, index=True),
)
