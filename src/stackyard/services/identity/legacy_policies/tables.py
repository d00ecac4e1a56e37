"""Policies, and the endpoints, services and regions that they are for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

policies = sa.Table(
    "identity_policies",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("blob", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

associations = sa.Table(
    "identity_policy_associations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("policy_id", sa.ForeignKey("identity_policies.id", ondelete="CASCADE"), nullable=False, index=True),
    # An endpoint alone, a service alone, or a service in a region.
    sa.Column("endpoint_id", sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("service_id", sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("region_id", sa.ForeignKey("identity_regions.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.UniqueConstraint("endpoint_id", "service_id", "region_id"),
)

BY_ID = sa.select(policies).where(policies.c.id == bindparam("id"))
PLACE = sa.and_(
    *(
        associations.c[name].is_not_distinct_from(bindparam(name, type_=sa.String))
        for name in ("endpoint_id", "service_id", "region_id")
    )
)
POLICY_AT = sa.select(policies).join(associations).where(PLACE)
ASSOCIATIONS_OF = sa.select(associations).where(associations.c.policy_id == bindparam("policy_id"))
INSERT = sa.insert(associations)
DELETE_AT = sa.delete(associations).where(PLACE)
