"""What other nouns do to floating IPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, resources
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.tables import floating_ips

_OF_PORT = sa.select(floating_ips.c.id, floating_ips.c.router_id, floating_ips.c.fixed_ip_address).where(
    floating_ips.c.port_id == bindparam("port")
)
_DELETE = sa.delete(floating_ips).where(floating_ips.c.id == bindparam("id"))


def disassociate_port(tx: Transaction, port_id: str) -> None:
    """Leave the floating IPs of a port that goes without one."""
    for row in tx.all(_OF_PORT, {"port": port_id}):
        disassociate(tx, row.id, row.router_id)


def drop_lost(tx: Transaction, port_id: str, fixed_ips: Sequence[Mapping[str, str]]) -> None:
    """Leave the floating IPs without a port whose address the port has no more."""
    kept = {item["ip_address"] for item in fixed_ips}
    for row in tx.all(_OF_PORT, {"port": port_id}):
        if row.fixed_ip_address not in kept:
            disassociate(tx, row.id, row.router_id)


def disassociate(tx: Transaction, floating_id: str, router_id: str | None) -> None:
    """Take a floating IP from its port and its router."""
    resources.touch(tx, floating_ips, floating_id, port_id=None, fixed_ip_address=None, router_id=None, status="DOWN")
    timeline.record(tx, "floatingip", floating_id, "disassociated")
    if router_id:
        marks.router(tx, router_id)


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a floating IP with its port on the external network."""
    if row.port_id:
        disassociate(tx, row.id, row.router_id)
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    port_rows.remove(tx, runtime, row.floating_port_id)
    resources.release(tx, runtime, row.project_id, "floatingip")
    timeline.record(tx, "floatingip", row.id, "deleted")
