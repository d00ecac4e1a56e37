"""Which servers have which volumes, for the volume service: what a server has, only the server lets go."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.compute.tables import block_devices, servers

_HOLDS = (
    sa.select(block_devices.c.id)
    .join(servers, servers.c.id == block_devices.c.server_id)
    .where(
        block_devices.c.server_id == bindparam("server"),
        block_devices.c.attachment_id == bindparam("attachment"),
        servers.c.deleted_at.is_(None),
    )
)


def has(tx: Transaction, server_id: str, attachment_id: str) -> bool:
    """Whether a server that is there has a volume by this attachment."""
    return tx.first(_HOLDS, {"server": server_id, "attachment": attachment_id}) is not None
