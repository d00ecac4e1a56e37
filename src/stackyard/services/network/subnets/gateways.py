"""What a new subnet of an external network means to the routers that lead out through it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network import allocation, marks, owners, resources
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.tables import ports, routers

_PORTS = sa.select(ports).where(
    ports.c.network_id == bindparam("network"), ports.c.device_owner == owners.ROUTER_GATEWAY
)
_ROUTER = sa.select(routers.c.id, routers.c.gateway_port_id, routers.c.extra_gateways).where(
    routers.c.id == bindparam("id")
)


def extend(tx: Transaction, network_id: str, subnet: Any) -> None:
    """Give the routers' gateway ports an address of a new subnet, where they have none of its IP version.

    Subnets that are for other ports only, and those with no address left, change nothing.
    """
    if choice.numbers_itself(subnet) or not choice.is_for(subnet, owners.ROUTER_GATEWAY):
        return
    for port in tx.all(_PORTS, {"network": network_id}):
        if any((":" in item["ip_address"]) == (subnet.ip_version == 6) for item in port.fixed_ips):
            continue
        if allocation.free_address(tx, allocation.Space.of(subnet)) is not None:
            _add(tx, port, subnet)


def _add(tx: Transaction, port: Any, subnet: Any) -> None:
    wanted = [*port.fixed_ips, {"subnet_id": subnet.id}]
    wish = choice.Wish(port.network_id, port.mac_address, port.device_owner, wanted, port.fixed_ips, port_id=port.id)
    fixed = port_rows.change_addresses(tx, port, choice.choose(tx, wish))
    resources.touch(tx, ports, port.id, fixed_ips=fixed)
    router = tx.first(_ROUTER, {"id": port.device_id})
    if router is None:
        return
    changes: dict[str, Any] = {"gateway_ips": fixed}
    if router.gateway_port_id != port.id:
        others = [item | {"ips": fixed} if item["port_id"] == port.id else item for item in router.extra_gateways]
        changes = {"extra_gateways": others}
    resources.touch(tx, routers, router.id, **changes)
    marks.router(tx, router.id)
