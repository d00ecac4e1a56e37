"""Registered limits (the default of everybody) and limits (the override of one project or domain)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata
from stackyard.services.identity.catalog.tables import services

registered = sa.Table(
    "identity_registered_limits",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("service_id", sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False),
    sa.Column("region_id", sa.ForeignKey("identity_regions.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("resource_name", sa.String(255), nullable=False),
    sa.Column("default_limit", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("service_id", "region_id", "resource_name"),
)
# A unique constraint takes two NULLs as different.
sa.Index(
    "uq_identity_registered_limits_everywhere",
    registered.c.service_id,
    registered.c.resource_name,
    unique=True,
    sqlite_where=registered.c.region_id.is_(None),
    postgresql_where=registered.c.region_id.is_(None),
)

limits = sa.Table(
    "identity_limits",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "registered_limit_id", sa.ForeignKey("identity_registered_limits.id", ondelete="CASCADE"), nullable=False
    ),
    # Either of them; both are rows of the same table.
    sa.Column("project_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("resource_limit", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("registered_limit_id", "project_id"),
    sa.UniqueConstraint("registered_limit_id", "domain_id"),
)

ALL_LIMITS = sa.select(limits, registered.c.service_id, registered.c.region_id, registered.c.resource_name).select_from(
    limits.join(registered)
)

REGISTERED_BY_ID = sa.select(registered).where(registered.c.id == bindparam("id"))
LIMIT_BY_ID = ALL_LIMITS.where(limits.c.id == bindparam("id"))
REGISTERED_FOR = sa.select(registered).where(
    registered.c.service_id == bindparam("service_id"),
    registered.c.resource_name == bindparam("resource_name"),
    registered.c.region_id.is_not_distinct_from(bindparam("region_id", type_=sa.String)),
)
LIMITS_OF_REGISTERED = sa.select(limits).where(limits.c.registered_limit_id == bindparam("registered_limit_id"))
REGISTERED_OF_TYPE = (
    sa.select(registered)
    .join(services, services.c.id == registered.c.service_id)
    .where(services.c.type == bindparam("type"), registered.c.resource_name == bindparam("resource_name"))
    .where(sa.or_(registered.c.region_id.is_(None), registered.c.region_id == bindparam("region_id", type_=sa.String)))
    # That of the region before the one for everywhere.
    .order_by(registered.c.region_id.is_(None), services.c.created_at, registered.c.id)
)
