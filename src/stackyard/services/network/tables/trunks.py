"""Trunks: a port that carries the frames of others, each under a VLAN's number of its own."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column, standard_columns

trunks = sa.Table(
    "trunks",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id"), nullable=False, unique=True),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
)

trunk_subports = sa.Table(
    "trunk_subports",
    metadata,
    sa.Column("port_id", sa.String(36), sa.ForeignKey("ports.id"), primary_key=True),
    sa.Column("trunk_id", sa.String(36), sa.ForeignKey("trunks.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("segmentation_type", sa.String(16), nullable=False),
    sa.Column("segmentation_id", sa.Integer, nullable=False),
    sa.UniqueConstraint("trunk_id", "segmentation_type", "segmentation_id", name="trunk_subports_once"),
)
