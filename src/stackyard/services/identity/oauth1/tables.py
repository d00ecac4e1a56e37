"""Consumers, request tokens that wait to be authorised, and access tokens. Their secrets are sealed in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata
from stackyard.services.identity.credentials import keys

consumers = sa.Table(
    "identity_oauth_consumers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

request_tokens = sa.Table(
    "identity_oauth_request_tokens",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column(
        "consumer_id", sa.ForeignKey("identity_oauth_consumers.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("project_id", sa.String(64), nullable=False),
    # Once it is authorised: by whom, with which roles, and what the user tells the consumer to prove it.
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("role_ids", sa.JSON, nullable=False),
    sa.Column("verifier", sa.Text, nullable=True),
    sa.Column("expires_at", Moment, nullable=True, index=True),
)

access_tokens = sa.Table(
    "identity_oauth_access_tokens",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column(
        "consumer_id", sa.ForeignKey("identity_oauth_consumers.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("user_id", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("role_ids", sa.JSON, nullable=False),
    sa.Column("expires_at", Moment, nullable=True),
)
keys.SEALED += [consumers.c.secret, request_tokens.c.secret, request_tokens.c.verifier, access_tokens.c.secret]

CONSUMER_BY_ID = sa.select(consumers).where(consumers.c.id == bindparam("id"))
INSERT_CONSUMER = sa.insert(consumers)
UPDATE_CONSUMER = (
    sa.update(consumers)
    .where(consumers.c.id == bindparam("key"))
    .values(description=bindparam("new_description"), extra=bindparam("new_extra", type_=sa.JSON))
)
DELETE_CONSUMER = sa.delete(consumers).where(consumers.c.id == bindparam("id"))
REQUEST_BY_ID = sa.select(request_tokens).where(request_tokens.c.id == bindparam("id"))
INSERT_REQUEST = sa.insert(request_tokens)
AUTHORIZE = (
    sa.update(request_tokens)
    .where(request_tokens.c.id == bindparam("key"))
    .values(user_id=bindparam("by"), role_ids=bindparam("roles", type_=sa.JSON), verifier=bindparam("sealed_verifier"))
)
DELETE_REQUEST = sa.delete(request_tokens).where(request_tokens.c.id == bindparam("id"))
PRUNE_REQUESTS = sa.delete(request_tokens).where(request_tokens.c.expires_at < bindparam("now"))
ACCESS_BY_ID = sa.select(access_tokens).where(access_tokens.c.id == bindparam("id"))
ACCESS_OF_USER = (
    sa.select(access_tokens).where(access_tokens.c.user_id == bindparam("user_id")).order_by(access_tokens.c.id)
)
INSERT_ACCESS = sa.insert(access_tokens)
DELETE_ACCESS = sa.delete(access_tokens).where(access_tokens.c.id == bindparam("id"))
DELETE_OF_USER = sa.delete(access_tokens).where(access_tokens.c.user_id == bindparam("user_id"))
DELETE_AT_PROJECT = sa.delete(access_tokens).where(access_tokens.c.project_id == bindparam("project_id"))
