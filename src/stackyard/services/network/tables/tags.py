"""Tags of all resources."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata

resource_tags = sa.Table(
    "network_tags",
    metadata,
    sa.Column("resource_id", sa.String(36), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True, index=True),
)
