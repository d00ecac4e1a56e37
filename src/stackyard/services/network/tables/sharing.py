"""What is shared with other projects."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column

network_rbacs = sa.Table(
    "network_rbacs",
    metadata,
    id_column(),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("object_type", sa.String(32), nullable=False),
    sa.Column("object_id", sa.String(36), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("target_project", sa.String(64), nullable=False),
    sa.UniqueConstraint("object_id", "target_project", "action", name="network_rbacs_once"),
    sa.Index("network_rbacs_by_target", "target_project", "object_type"),
)
"""One row for each object and each project, or '*' for all, that may use it; `project_id` is who shares it."""
