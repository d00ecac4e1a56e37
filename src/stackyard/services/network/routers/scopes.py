"""Address scopes as routers look at them, and what depends on these: proxying of neighbour discovery."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict
from stackyard.services.network.faults import conflict
from stackyard.services.network.routers import gateways
from stackyard.services.network.tables import subnetpools, subnets

_SCOPE = (
    sa.select(subnetpools.c.address_scope_id)
    .join(subnets, subnets.c.subnetpool_id == subnetpools.c.id)
    .where(
        subnets.c.network_id == bindparam("network"),
        subnets.c.ip_version == bindparam("version"),
        subnetpools.c.address_scope_id.is_not(None),
    )
    .limit(1)
)


def scope_of(tx: Transaction, network_id: str, version: int) -> str | None:
    """The address scope that a network's subnets of an IP version are in, or None."""
    found = tx.scalar(_SCOPE, {"network": network_id, "version": version})
    return None if found is None else str(found)


def refuse_proxying(tx: Transaction, row: Any) -> None:
    """Raise RouterGatewayNotValid for a router that cannot answer for others outside, as the proxies' flag asks."""
    first = next(iter(gateways.of(row)), None)
    if first is None:
        raise _not_valid(row.id, "the router has no external gateway")
    if all(":" not in item["ip_address"] for item in first.ips):
        raise _not_valid(row.id, "its external gateway has no IPv6 address")
    if scope_of(tx, first.network_id, 6) is None:
        raise _not_valid(row.id, f"the external network {first.network_id} has no IPv6 address scope")


def _not_valid(router_id: str, reason: str) -> Conflict:
    return conflict("RouterGatewayNotValid", f"Can not enable ndp proxy on router {router_id}, {reason}.")
