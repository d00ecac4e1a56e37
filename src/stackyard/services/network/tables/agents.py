"""What administrators say of the agents; that there are any, the hosts themselves say."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column

agent_settings = sa.Table(
    "network_agent_settings",
    metadata,
    id_column(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("description", sa.String(255), nullable=True),
)
