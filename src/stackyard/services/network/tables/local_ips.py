"""Local IPs: addresses that lead to a port on the host of whoever asks."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

local_ips = sa.Table(
    "local_ips",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name != "tags"),
    belongs_to("local_port_id", "ports"),
    belongs_to("network_id", "networks"),
    sa.Column("local_ip_address", sa.String(64), nullable=False, index=True),
    sa.Column("ip_mode", sa.String(16), nullable=False),
)

local_ip_associations = sa.Table(
    "local_ip_associations",
    metadata,
    sa.Column("local_ip_id", sa.String(36), sa.ForeignKey("local_ips.id"), primary_key=True),
    sa.Column("fixed_port_id", sa.String(36), sa.ForeignKey("ports.id"), primary_key=True, index=True),
    sa.Column("fixed_ip", sa.String(64), nullable=False),
)
