"""Metering labels, and the rules that say what they count."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import belongs_to, id_column

metering_labels = sa.Table(
    "metering_labels",
    metadata,
    id_column(),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(1024), nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, index=True),
)

metering_label_rules = sa.Table(
    "metering_label_rules",
    metadata,
    id_column(),
    belongs_to("metering_label_id", "metering_labels"),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("excluded", sa.Boolean, nullable=False),
    sa.Column("remote_ip_prefix", sa.String(64), nullable=True),
    sa.Column("source_ip_prefix", sa.String(64), nullable=True),
    sa.Column("destination_ip_prefix", sa.String(64), nullable=True),
)
