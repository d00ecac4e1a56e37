"""Tokens of consoles."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

console_tokens = sa.Table(
    "console_tokens",
    metadata,
    # SHA-256 of the token, which itself is kept nowhere
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("server_id", sa.String(36), nullable=False, index=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("console", sa.String(8), nullable=False),  # vnc or serial
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)
