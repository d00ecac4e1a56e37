"""What other nouns do to floating IPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.services.network import marks, resources
from stackyard.services.network.tables import floating_ips

_OF_PORT = sa.select(floating_ips.c.id, floating_ips.c.router_id, floating_ips.c.fixed_ip_address).where(
    floating_ips.c.port_id == bindparam("port")
)


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
