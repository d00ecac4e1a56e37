"""Regions, services and endpoints."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

REGION_ID_LENGTH = 255

regions = sa.Table(
    "identity_regions",
    metadata,
    sa.Column("id", sa.String(REGION_ID_LENGTH), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("parent_region_id", sa.ForeignKey("identity_regions.id"), nullable=True),
    sa.Column("extra", sa.JSON, nullable=False),
)

services = sa.Table(
    "identity_services",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

endpoints = sa.Table(
    "identity_endpoints",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("service_id", sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("region_id", sa.ForeignKey("identity_regions.id"), nullable=True, index=True),
    sa.Column("interface", sa.String(8), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

REGION_BY_ID = sa.select(regions).where(regions.c.id == bindparam("id"))
SERVICE_BY_ID = sa.select(services).where(services.c.id == bindparam("id"))
ENDPOINT_BY_ID = sa.select(endpoints).where(endpoints.c.id == bindparam("id"))
CATALOG_SERVICES = (
    sa.select(services).where(services.c.enabled.is_(True)).order_by(services.c.created_at, services.c.id)
)
CATALOG_ENDPOINTS = (
    sa.select(endpoints).where(endpoints.c.enabled.is_(True)).order_by(endpoints.c.created_at, endpoints.c.id)
)
