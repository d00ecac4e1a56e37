"""Placement's tables: providers with what they have, consumers with what they hold.

`used` of an inventory is the sum of its allocations, kept by every change of them (claims.py): what is free is read
without adding up a hundred thousand rows. Standard resource classes and traits are in no table, only custom ones.
"""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata
from stackyard.core.generation import Generation

SHAPE = Generation("placement", size=64)
"""Changes with which providers there are, their inventories, traits and aggregates; not with what is used of them."""

providers = sa.Table(
    "placement_providers",
    metadata,
    sa.Column("uuid", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("parent", sa.String(36), nullable=True, index=True),
    sa.Column("root", sa.String(36), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

inventories = sa.Table(
    "placement_inventories",
    metadata,
    sa.Column("provider", sa.String(36), primary_key=True),
    sa.Column("resource_class", sa.String(255), primary_key=True, index=True),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("reserved", sa.Integer, nullable=False),
    sa.Column("min_unit", sa.Integer, nullable=False),
    sa.Column("max_unit", sa.Integer, nullable=False),
    sa.Column("step_size", sa.Integer, nullable=False),
    sa.Column("allocation_ratio", sa.Double, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("used_at", Moment, nullable=False, index=True),  # when `used` changed last
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

provider_traits = sa.Table(
    "placement_provider_traits",
    metadata,
    sa.Column("provider", sa.String(36), primary_key=True),
    sa.Column("trait", sa.String(255), primary_key=True, index=True),
    info=SHAPE.info,
)

provider_aggregates = sa.Table(
    "placement_provider_aggregates",
    metadata,
    sa.Column("provider", sa.String(36), primary_key=True),
    sa.Column("aggregate", sa.String(36), primary_key=True, index=True),
    info=SHAPE.info,
)

custom_traits = sa.Table(
    "placement_traits",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
)

custom_classes = sa.Table(
    "placement_resource_classes",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
)

consumers = sa.Table(
    "placement_consumers",
    metadata,
    sa.Column("uuid", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("consumer_type", sa.String(255), nullable=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

allocations = sa.Table(
    "placement_allocations",
    metadata,
    sa.Column("consumer", sa.String(36), primary_key=True),
    sa.Column("provider", sa.String(36), primary_key=True, index=True),
    sa.Column("resource_class", sa.String(255), primary_key=True),
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)
