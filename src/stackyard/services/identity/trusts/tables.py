"""Trusts and the roles that they lend."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

trusts = sa.Table(
    "identity_trusts",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("trustor_user_id", sa.String(64), nullable=False, index=True),
    sa.Column("trustee_user_id", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=True, index=True),
    sa.Column("impersonation", sa.Boolean, nullable=False),
    sa.Column("expires_at", Moment, nullable=True),
    sa.Column("remaining_uses", sa.Integer, nullable=True),
    # What was handed on ends with what it was handed on from.
    sa.Column(
        "redelegated_trust_id", sa.ForeignKey("identity_trusts.id", ondelete="CASCADE"), nullable=True, index=True
    ),
    sa.Column("redelegation_count", sa.Integer, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

trust_roles = sa.Table(
    "identity_trust_roles",
    metadata,
    sa.Column("trust_id", sa.ForeignKey("identity_trusts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

BY_ID = sa.select(trusts).where(trusts.c.id == bindparam("id"))
SAME = sa.select(trusts.c.id).where(
    trusts.c.trustor_user_id == bindparam("trustor_user_id"),
    trusts.c.trustee_user_id == bindparam("trustee_user_id"),
    trusts.c.project_id == bindparam("project_id"),
    trusts.c.impersonation == bindparam("impersonation", type_=sa.Boolean),
    trusts.c.expires_at == bindparam("expires_at", type_=Moment),
)
ROLE_IDS = sa.select(trust_roles.c.role_id).where(trust_roles.c.trust_id == bindparam("id"))
INSERT = sa.insert(trusts)
INSERT_ROLE = sa.insert(trust_roles)
DELETE = sa.delete(trusts).where(trusts.c.id == bindparam("id"))
DELETE_OF_USER = sa.delete(trusts).where(
    sa.or_(trusts.c.trustor_user_id == bindparam("user_id"), trusts.c.trustee_user_id == bindparam("user_id"))
)
DELETE_AT_PROJECT = sa.delete(trusts).where(trusts.c.project_id == bindparam("project_id"))
CONSUME = (
    sa.update(trusts)
    .where(trusts.c.id == bindparam("key"), trusts.c.remaining_uses > 0)
    .values(remaining_uses=trusts.c.remaining_uses - 1)
)
