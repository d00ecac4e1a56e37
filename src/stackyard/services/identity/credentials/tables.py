"""Credentials."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata
from stackyard.services.identity.credentials import keys

EC2 = "ec2"

credentials = sa.Table(
    "identity_credentials",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    # No foreign keys: users of a directory are not in our tables, and Keystone takes a credential for anybody.
    sa.Column("user_id", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=True, index=True),
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("blob", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)
keys.SEALED.append(credentials.c.blob)

BY_ID = sa.select(credentials).where(credentials.c.id == bindparam("id"))
OF_USER = (
    sa.select(credentials)
    .where(credentials.c.user_id == bindparam("user_id"), credentials.c.type == bindparam("type"))
    .order_by(credentials.c.created_at, credentials.c.id)
)
COUNT_OF_USER = sa.select(sa.func.count()).where(credentials.c.user_id == bindparam("user_id"))
INSERT = sa.insert(credentials)
SET_BLOB = sa.update(credentials).where(credentials.c.id == bindparam("key")).values(blob=bindparam("sealed"))
DELETE = sa.delete(credentials).where(credentials.c.id == bindparam("id"))
DELETE_OF_USER = sa.delete(credentials).where(credentials.c.user_id == bindparam("user_id"))
DELETE_AT_PROJECT = sa.delete(credentials).where(credentials.c.project_id == bindparam("project_id"))
