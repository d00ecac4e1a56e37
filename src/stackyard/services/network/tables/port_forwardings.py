"""Port forwardings: some ports of a floating IP that lead to a port of the network."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

port_forwardings = sa.Table(
    "port_forwardings",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name not in ("name", "tags")),
    belongs_to("floatingip_id", "floating_ips"),
    belongs_to("internal_port_id", "ports"),
    sa.Column("internal_ip_address", sa.String(64), nullable=False),
    sa.Column("protocol", sa.String(8), nullable=False),
    sa.Column("external_port_start", sa.Integer, nullable=False),
    sa.Column("external_port_end", sa.Integer, nullable=False),
    sa.Column("internal_port_start", sa.Integer, nullable=False),
    sa.Column("internal_port_end", sa.Integer, nullable=False),
    sa.UniqueConstraint("floatingip_id", "protocol", "external_port_start", name="port_forwardings_outside_once"),
    sa.UniqueConstraint(
        "internal_port_id",
        "internal_ip_address",
        "protocol",
        "internal_port_start",
        name="port_forwardings_inside_once",
    ),
)
