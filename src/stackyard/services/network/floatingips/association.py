"""Which address of a port a floating IP leads to, and through which router."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.network import owners
from stackyard.services.network.faults import conflict
from stackyard.services.network.tables import floating_ips, ports, router_ports, routers, subnets

_OUTSIDE = ports.alias("outside")
_ROUTERS = (
    sa.select(routers.c.id, ports.c.fixed_ips)
    .join(router_ports, router_ports.c.router_id == routers.c.id)
    .join(ports, ports.c.id == router_ports.c.port_id)
    .where(
        ports.c.network_id == bindparam("network"),
        sa.exists().where(
            _OUTSIDE.c.device_id == routers.c.id,
            _OUTSIDE.c.network_id == bindparam("external"),
            _OUTSIDE.c.device_owner == owners.ROUTER_GATEWAY,
        ),
    )
    .order_by(routers.c.created_at)
)
_TAKEN = sa.select(floating_ips).where(
    floating_ips.c.port_id == bindparam("port"), floating_ips.c.fixed_ip_address == bindparam("address")
)
_GATEWAY = sa.select(subnets.c.gateway_ip).where(subnets.c.id == bindparam("subnet"))


def associate(tx: Transaction, external_id: str, port: Any, fixed_ip: str | None, floating_id: str) -> dict[str, Any]:
    """The columns of a floating IP that leads to a port; raises Neutron's faults when it cannot."""
    item = address_of(port, fixed_ip)
    address = item["ip_address"]
    router_id = router_to(tx, external_id, port, item["subnet_id"])
    other = tx.first(_TAKEN, {"port": port.id, "address": address})
    if other is not None and other.id != floating_id:
        raise conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP with port {port.id} using fixed IP {address}, as that fixed IP already has "
            f"a floating IP on external network {other.floating_network_id} ({other.floating_ip_address}).",
        )
    return {"port_id": port.id, "fixed_ip_address": address, "router_id": router_id, "status": "DOWN"}


def address_of(port: Any, fixed_ip: str | None) -> dict[str, str]:
    """The port's IPv4 address that is asked for, or its only one; raises BadRequest."""
    own = [item for item in port.fixed_ips if ":" not in item["ip_address"]]
    if fixed_ip:
        try:
            wanted = str(ipaddress.IPv4Address(fixed_ip))
        except ValueError:
            raise BadRequest(f"Fixed IP {fixed_ip} is not an IPv4 address.", kind="BadRequest") from None
        for item in own:
            if item["ip_address"] == wanted:
                return dict(item)
        raise BadRequest(f"Port {port.id} does not have fixed ip {fixed_ip}", kind="BadRequest")
    if not own:
        raise BadRequest(
            f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses", kind="BadRequest"
        )
    if len(own) > 1:
        raise BadRequest(
            f"Port {port.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a "
            "floating IP",
            kind="BadRequest",
        )
    return dict(own[0])


def router_to(tx: Transaction, external_id: str, port: Any, subnet_id: str) -> str:
    """The router by whose gateway the subnet is reached; the one with the subnet's gateway address before others."""
    gateway = tx.scalar(_GATEWAY, {"subnet": subnet_id})
    found = [
        (item["ip_address"] != gateway, leg.id)
        for leg in tx.all(_ROUTERS, {"external": external_id, "network": port.network_id})
        for item in leg.fixed_ips
        if item["subnet_id"] == subnet_id
    ]
    if not found:
        raise NotFound(
            f"External network {external_id} is not reachable from subnet {subnet_id}. Therefore, cannot associate "
            f"Port {port.id} with a Floating IP.",
            kind="ExternalGatewayForFloatingIPNotFound",
        )
    return str(min(found, key=lambda item: item[0])[1])
