"""Ports."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

ports = sa.Table(
    "ports",
    metadata,
    id_column(),
    *standard_columns(),
    belongs_to("network_id", "networks", index=False),
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
    sa.Column("extra_dhcp_opts", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("dns_domain", sa.String(255), nullable=False, server_default=""),
    sa.Column("qos_policy_id", sa.String(36), nullable=True, index=True),
    sa.Column("data_plane_status", sa.String(16), nullable=True),
    sa.Column("propagate_uplink_status", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("vif_type", sa.String(32), nullable=False, server_default="unbound"),
    sa.Column("ip_allocation", sa.String(16), nullable=False, server_default="immediate"),
    sa.Column("numa_affinity_policy", sa.String(16), nullable=True),
    sa.Column("device_profile", sa.String(255), nullable=True),
    sa.Column("hints", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("hardware_offload_type", sa.String(32), nullable=True),
    sa.Column("trusted", sa.Boolean, nullable=True),
    sa.Column("wire", sa.String(8), nullable=False, server_default="veth"),
    sa.Column("netns", sa.String(255), nullable=True),
    sa.Column("device", sa.String(15), nullable=True),
    sa.UniqueConstraint("network_id", "mac_address"),
)
"""`counted`: whether it counts against its project's quota. `vif_type`: what the API says of how it is plugged while it
is wired nowhere. `netns` and `device`: where it is wired, None: nowhere; a
tap is in the fabric's namespace, and its `netns` is empty. `wire`: veth, tap or vlan, as in the host's PortSpec."""

port_security_groups = sa.Table(
    "port_security_groups",
    metadata,
    sa.Column("security_group_id", sa.String(36), sa.ForeignKey("security_groups.id"), primary_key=True),
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True, index=True),
)

port_bindings = sa.Table(
    "port_bindings",
    metadata,
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("vnic_type", sa.String(64), nullable=False),
    sa.Column("profile", sa.JSON, nullable=False),
    sa.Column("vif_type", sa.String(32), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)
"""The inactive bindings, by which a machine that moves prepares its next host; the active one is in the port's row."""
