"""Segments of networks, and the ranges that their numbers are from."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column, standard_columns

network_segments = sa.Table(
    "network_segments",
    metadata,
    id_column(),
    *(column for column in standard_columns() if column.name != "project_id"),
    belongs_to("network_id", "networks"),
    sa.Column("network_type", sa.String(32), nullable=False),
    sa.Column("physical_network", sa.String(64), nullable=True),
    sa.Column("segmentation_id", sa.Integer, nullable=True),
    sa.Column("segment_index", sa.Integer, nullable=False),
    sa.Column("place", sa.String(128), nullable=True, unique=True),
)
"""`place` is what no two segments may have: `vxlan:1001`, `vlan:physnet:5`, `flat:physnet`; None for a local one."""

network_segment_ranges = sa.Table(
    "network_segment_ranges",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("network_type", sa.String(32), nullable=False),
    sa.Column("physical_network", sa.String(64), nullable=True),
    sa.Column("minimum", sa.BigInteger, nullable=False),
    sa.Column("maximum", sa.BigInteger, nullable=False),
)
