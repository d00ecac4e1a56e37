"""The hosts of the cloud, each written by its own process."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

network_hosts = sa.Table(
    "network_hosts",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("tunnel_address", sa.String(64), nullable=True),
    sa.Column("physical_networks", sa.JSON, nullable=False),
    sa.Column("zone", sa.String(255), nullable=False),
    sa.Column("joined_at", Moment, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("heartbeat_at", Moment, nullable=False),
)
"""`physical_networks`: name -> interface of that host. `joined_at`: when the host was first seen; the host that has
been there longest keeps what is on no host in particular."""
