"""Address groups."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import metadata
from stackyard.services.network.tables.columns import id_column, standard_columns

address_groups = sa.Table(
    "address_groups",
    metadata,
    id_column(),
    *standard_columns(),
    sa.Column("addresses", sa.JSON, nullable=False),
)
"""`addresses` are CIDRs without host bits, each once, in no order that matters."""
