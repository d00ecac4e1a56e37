"""What a router does besides routing: NDP proxies and conntrack helpers."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

ndp_proxies = sa.Table(
    "ndp_proxies",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name != "tags"),
    belongs_to("router_id", "routers"),
    belongs_to("port_id", "ports"),
    sa.Column("ip_address", sa.String(64), nullable=False),
    sa.UniqueConstraint("router_id", "ip_address"),
)

conntrack_helpers = sa.Table(
    "conntrack_helpers",
    metadata,
    id_column(),
    belongs_to("router_id", "routers"),
    sa.Column("protocol", sa.String(8), nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("helper", sa.String(64), nullable=False),
    sa.UniqueConstraint("router_id", "protocol", "port", "helper"),
)
