"""What was done to servers: actions, a request each, and their events, a step each."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

instance_actions = sa.Table(
    "instance_actions",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("server_id", sa.String(36), nullable=False, index=True),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("project_id", sa.String(64), nullable=True),
    sa.Column("message", sa.Text, nullable=True),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False, index=True),
    sa.Column("finished_at", Moment, nullable=True),
)

instance_events = sa.Table(
    "instance_events",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("action_id", sa.ForeignKey("instance_actions.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("event", sa.String(64), nullable=False),  # compute__do_build_instance
    sa.Column("host", sa.String(255), nullable=True),
    sa.Column("result", sa.String(16), nullable=True),  # Success or Error
    sa.Column("details", sa.Text, nullable=True),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("finished_at", Moment, nullable=True),
)
