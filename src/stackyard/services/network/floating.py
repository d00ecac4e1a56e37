"""What other nouns do to floating IPs, and what floating IPs and their port forwardings do to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.network import dns_names, marks, resources
from stackyard.services.network.local_ips import rows as local_ips
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.tables import floating_ips, ndp_proxies, port_forwardings

_ONE = sa.select(floating_ips).where(floating_ips.c.id == bindparam("id"))
_OF_PORT = sa.select(floating_ips.c.id, floating_ips.c.router_id, floating_ips.c.fixed_ip_address).where(
    floating_ips.c.port_id == bindparam("port")
)
_DELETE = sa.delete(floating_ips).where(floating_ips.c.id == bindparam("id"))
_FORWARDED = (
    sa.select(port_forwardings)
    .where(port_forwardings.c.floatingip_id == bindparam("id"))
    .order_by(port_forwardings.c.created_at, port_forwardings.c.id)
)
_TO_PORT = sa.select(port_forwardings).where(port_forwardings.c.internal_port_id == bindparam("port"))
_DROP_FORWARDING = sa.delete(port_forwardings).where(port_forwardings.c.id == bindparam("id"))
_PROXIES_OF_PORT = sa.select(ndp_proxies).where(ndp_proxies.c.port_id == bindparam("port"))
_DROP_PROXY = sa.delete(ndp_proxies).where(ndp_proxies.c.id == bindparam("id"))


def disassociate_port(tx: Transaction, port_id: str) -> None:
    """Leave without a port what leads to one that goes; raises ServicePortInUse for a local IP's."""
    local_ips.refuse_local_port(tx, port_id)
    drop_lost(tx, port_id, [])


def drop_lost(tx: Transaction, port_id: str, fixed_ips: Sequence[Mapping[str, str]]) -> None:
    """Leave the floating IPs without a port whose address the port has no more; forwardings and proxies go."""
    kept = {item["ip_address"] for item in fixed_ips}
    for row in tx.all(_OF_PORT, {"port": port_id}):
        if row.fixed_ip_address not in kept:
            disassociate(tx, row.id, row.router_id)
    for forwarding in tx.all(_TO_PORT, {"port": port_id}):
        if forwarding.internal_ip_address not in kept:
            drop_forwarding(tx, forwarding)
    for proxy in tx.all(_PROXIES_OF_PORT, {"port": port_id}):
        if proxy.ip_address not in kept:
            drop_proxy(tx, proxy)
    local_ips.drop_lost(tx, port_id, sorted(kept))


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
    for forwarding in forwardings(tx, row.id):
        drop_forwarding(tx, forwarding)
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    dns_names.changed(tx, row._mapping)
    port_rows.remove(tx, runtime, row.floating_port_id)
    resources.release(tx, runtime, row.project_id, "floatingip")
    timeline.record(tx, "floatingip", row.id, "deleted")


# ------------------------------------------------------------------------------------------------ port forwardings


def forwardings(tx: Transaction, floating_id: str) -> Sequence[Any]:
    """The port forwardings of a floating IP, oldest first."""
    return tx.all(_FORWARDED, {"id": floating_id})


def forwarding_view(row: Any) -> dict[str, Any]:
    """A port forwarding as the API shows it; a range is a range, one port also a number."""
    inner, outer = (row.internal_port_start, row.internal_port_end), (row.external_port_start, row.external_port_end)
    return {
        "id": row.id,
        "protocol": row.protocol,
        "internal_port_id": row.internal_port_id,
        "internal_ip_address": row.internal_ip_address,
        "internal_port": inner[0] if inner[0] == inner[1] else None,
        "internal_port_range": f"{inner[0]}:{inner[1]}",
        "external_port": outer[0] if outer[0] == outer[1] else None,
        "external_port_range": f"{outer[0]}:{outer[1]}",
        "description": row.description,
    }


def forwardings_changed(tx: Transaction, floating_id: str, router_id: str) -> None:
    """Write on a floating IP which forwardings it has; without any it is on no router."""
    found = forwardings(tx, floating_id)
    changes: dict[str, Any] = {"port_forwardings": [forwarding_view(row) for row in found]}
    if not found:
        changes |= {"router_id": None, "status": "DOWN"}
    resources.touch(tx, floating_ips, floating_id, **changes)
    marks.router(tx, router_id)


def drop_forwarding(tx: Transaction, row: Any) -> None:
    """Delete a port forwarding."""
    floating = tx.first(_ONE, {"id": row.floatingip_id})
    tx.execute(_DROP_FORWARDING, {"id": row.id})
    timeline.record(tx, "port_forwarding", row.id, "deleted")
    if floating is not None:
        forwardings_changed(tx, floating.id, floating.router_id)


# ------------------------------------------------------------------------------------------------ NDP proxies


def drop_proxy(tx: Transaction, row: Any) -> None:
    """Delete an NDP proxy."""
    tx.execute(_DROP_PROXY, {"id": row.id})
    timeline.record(tx, "ndp_proxy", row.id, "deleted")
    marks.router(tx, row.router_id)
