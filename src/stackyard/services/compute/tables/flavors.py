"""Flavors, and the projects that may use those which are not for everybody.

The columns have Nova's names, which are what lists are sorted by. Extra specs are a flavor's own, and always read with
it.
"""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata
from stackyard.core.generation import Generation

FLAVORS = Generation("compute_flavor", size=256)
"""Changes with every flavor: what is shown of them is kept in memory meanwhile."""

flavors = sa.Table(
    "compute_flavors",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("flavorid", sa.String(255), nullable=False, unique=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("memory_mb", sa.Integer, nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("root_gb", sa.Integer, nullable=False),
    sa.Column("ephemeral_gb", sa.Integer, nullable=False),
    sa.Column("swap", sa.Integer, nullable=False),  # MB
    sa.Column("rxtx_factor", sa.Float, nullable=False),
    sa.Column("vcpu_weight", sa.Integer, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("extra_specs", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
    info=FLAVORS.info,
)

flavor_projects = sa.Table(
    "compute_flavor_projects",
    metadata,
    sa.Column("flavor_id", sa.ForeignKey("compute_flavors.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", sa.String(255), primary_key=True, index=True),
    info=FLAVORS.info,
)
