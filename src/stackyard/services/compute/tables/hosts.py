"""The hosts that servers run on: what runs there, what they have, and how administrators group them."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata
from stackyard.core.generation import Generation

AGGREGATES = Generation("aggregates", size=64)
"""Changes with aggregates and which hosts are in them; the scheduler remembers them under it."""

compute_services = sa.Table(
    "compute_services",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("binary", sa.String(64), nullable=False),  # nova-compute, nova-conductor, nova-scheduler
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.String(255), nullable=True),
    sa.Column("forced_down", sa.Boolean, nullable=False),
    sa.Column("report_count", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at", Moment, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.UniqueConstraint("host", "binary"),
    sqlite_autoincrement=True,
)

compute_nodes = sa.Table(
    "compute_nodes",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),  # the placement provider's too
    sa.Column("number", sa.Integer, nullable=False, unique=True),  # what microversions before 2.53 call it by
    sa.Column("host", sa.String(255), nullable=False, unique=True),
    sa.Column("address", sa.String(64), nullable=False),
    # where other hosts reach it when servers move, and whose certificate (its SHA-256) it shows there; None: nowhere
    sa.Column("peer_port", sa.Integer, nullable=True),
    sa.Column("peer_certificate", sa.String(64), nullable=True),
    sa.Column("capacity", sa.JSON, nullable=False),  # host.specs.HostCapacity
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

aggregates = sa.Table(
    "aggregates",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("zone", sa.String(255), nullable=True, index=True),  # its metadata's availability_zone
    sa.Column("metadata", sa.JSON, nullable=False),  # all of it, availability_zone too
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
    sqlite_autoincrement=True,
    info=AGGREGATES.info,
)

aggregate_hosts = sa.Table(
    "aggregate_hosts",
    metadata,
    sa.Column("aggregate_id", sa.ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True, index=True),
    sa.Column("added_at", Moment, nullable=False),
    info=AGGREGATES.info,
)
