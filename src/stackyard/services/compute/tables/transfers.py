"""Leave to fetch: one row a connection that one host of a move makes to the other."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

transfer_tickets = sa.Table(
    "transfer_tickets",
    metadata,
    # of the secret that the connection shows, which is written nowhere
    sa.Column("digest", sa.String(64), primary_key=True),
    # the move, by its uuid, and its server
    sa.Column("move", sa.String(36), nullable=False, index=True),
    sa.Column("asked_by", sa.String(255), nullable=False),
    sa.Column("asked_of", sa.String(255), nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)
