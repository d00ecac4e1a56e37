"""Flavors of network services, and the profiles that they are made of."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column

network_flavors = sa.Table(
    "network_flavors",
    metadata,
    id_column(),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(1024), nullable=False),
    sa.Column("service_type", sa.String(36), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("service_profiles", sa.JSON, nullable=False),
)

service_profiles = sa.Table(
    "network_service_profiles",
    metadata,
    id_column(),
    sa.Column("description", sa.String(1024), nullable=False),
    sa.Column("driver", sa.String(1024), nullable=False),
    sa.Column("metainfo", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("flavors", sa.JSON, nullable=False),
)

flavor_profiles = sa.Table(
    "network_flavor_profiles",
    metadata,
    sa.Column("flavor_id", sa.String(36), sa.ForeignKey("network_flavors.id"), primary_key=True),
    sa.Column("service_profile_id", sa.String(36), sa.ForeignKey("network_service_profiles.id"), primary_key=True),
)
"""Which profiles flavors have; each side's row repeats the ids of the other, in the order of their coming."""
