"""Application credentials, their roles, and the access rules that narrow what they may call."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

credentials = sa.Table(
    "identity_application_credentials",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=True, index=True),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("secret_hash", sa.String(255), nullable=False),
    sa.Column("unrestricted", sa.Boolean, nullable=False),
    sa.Column("expires_at", Moment, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("has_access_rules", sa.Boolean, nullable=False),
    sa.UniqueConstraint("user_id", "name"),
)

credential_roles = sa.Table(
    "identity_application_credential_roles",
    metadata,
    sa.Column(
        "credential_id", sa.ForeignKey("identity_application_credentials.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("role_id", sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
)

access_rules = sa.Table(
    "identity_access_rules",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("path", sa.String(255), nullable=False),
    sa.UniqueConstraint("user_id", "service", "method", "path"),
)

credential_rules = sa.Table(
    "identity_application_credential_rules",
    metadata,
    sa.Column(
        "credential_id", sa.ForeignKey("identity_application_credentials.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("rule_id", sa.ForeignKey("identity_access_rules.id"), primary_key=True, index=True),
)

BY_ID = sa.select(credentials).where(credentials.c.id == bindparam("id"))
BY_NAME = sa.select(credentials).where(
    credentials.c.user_id == bindparam("user_id"), credentials.c.name == bindparam("name")
)
ROLE_IDS = sa.select(credential_roles.c.role_id).where(credential_roles.c.credential_id == bindparam("id"))
RULES = (
    sa.select(access_rules)
    .join(credential_rules, credential_rules.c.rule_id == access_rules.c.id)
    .where(credential_rules.c.credential_id == bindparam("id"))
    .order_by(access_rules.c.id)
)
DELETE = sa.delete(credentials).where(credentials.c.id == bindparam("id"))
DELETE_AT_PROJECT = sa.delete(credentials).where(credentials.c.project_id == bindparam("project_id"))
