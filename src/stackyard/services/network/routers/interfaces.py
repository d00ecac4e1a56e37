"""A router's legs on tenant networks: plugging it into subnets and ports, and taking it out again."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, owners, resources, sharing
from stackyard.services.network.addresses import IPNetwork, loaded_pools
from stackyard.services.network.faults import conflict
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.routers import gateways, rows
from stackyard.services.network.routers.bodies import refuse_overlap
from stackyard.services.network.tables import (
    floating_ips,
    ndp_proxies,
    port_forwardings,
    ports,
    router_ports,
    routers,
    subnets,
)

_PLUG = sa.insert(router_ports)
_UNPLUG = sa.delete(router_ports).where(router_ports.c.port_id == bindparam("port"))
_SUBNETS = sa.select(subnets).where(subnets.c.id.in_(bindparam("ids", expanding=True)))
_FLOATING = sa.select(floating_ips.c.fixed_ip_address.label("address")).where(
    floating_ips.c.router_id == bindparam("id"), floating_ips.c.fixed_ip_address.is_not(None)
)
_FORWARDED = (
    sa.select(port_forwardings.c.internal_ip_address.label("address"))
    .join(floating_ips, floating_ips.c.id == port_forwardings.c.floatingip_id)
    .where(floating_ips.c.router_id == bindparam("id"))
)
_PROXIED = sa.select(ndp_proxies.c.ip_address.label("address")).where(ndp_proxies.c.router_id == bindparam("id"))


def plug_subnet(tx: Transaction, runtime: Runtime, row: Any, subnet: Any) -> Any:
    """Put a router onto a subnet, as its gateway; returns the leg's port."""
    if not subnet.gateway_ip:
        raise BadRequest("Subnet for router interface must have a gateway IP", kind="BadRequest")
    _refuse_foreign_advertisements([subnet])
    present = rows.legs(tx, row.id)
    _refuse_overlap(tx, row, present, [subnet])
    address = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
    shared = next((leg for leg in present if subnet.ip_version == 6 and _is_v6_leg(leg, subnet.network_id)), None)
    if shared is not None:
        wanted = [*shared.fixed_ips, address]
        wish = choice.Wish(
            shared.network_id, shared.mac_address, shared.device_owner, wanted, shared.fixed_ips, port_id=shared.id
        )
        fixed = port_rows.change_addresses(tx, shared, choice.choose(tx, wish))
        resources.touch(tx, ports, shared.id, fixed_ips=fixed)
        port_id = shared.id
    else:
        new = port_rows.NewPort(
            network_id=subnet.network_id, project_id=row.project_id, fixed_ips=[address], device_id=row.id,
            device_owner=owners.ROUTER_INTERFACE, port_security=False,
        )  # fmt: skip
        port_id = str(port_rows.insert(tx, runtime, new)["id"])
        tx.execute(_PLUG, {"router_id": row.id, "port_id": port_id})
    _changed(tx, row, "interface added", subnet.id)
    return port_rows.read(tx, port_id)


def refuse_foreign(tx: Transaction, caller: Caller, subnet: Any) -> None:
    """A tenant takes the gateway's address only in a subnet of his own, or of a network shared with him by name."""
    if caller.is_admin or caller.project_id in (subnet.project_id, subnet.network_owner):
        return
    for policy in sharing.of_object(tx, "network", subnet.network_id):
        if policy.action == sharing.SHARED and policy.target_project == caller.project_id:
            return
    raise BadRequest(
        f"Cannot add interface to router because subnet {subnet.id} is not owned by project making the request",
        kind="BadRequest",
    )


def _is_v6_leg(leg: Any, network_id: str) -> bool:
    return leg.network_id == network_id and all(":" in item["ip_address"] for item in leg.fixed_ips)


def _refuse_foreign_advertisements(found: Sequence[Any]) -> None:
    for subnet in found:
        if subnet.ip_version == 6 and subnet.ipv6_address_mode and not subnet.ipv6_ra_mode:
            raise BadRequest(
                f"IPv6 subnet {subnet.cidr} configured to receive RAs from an external router cannot be added to "
                "Neutron Router.",
                kind="BadRequest",
            )


def plug_port(tx: Transaction, caller: Caller, row: Any, port: Any) -> Any:
    """Put a router onto a network by a port that was made beforehand; returns the port."""
    if port.device_id or port.netns is not None:
        raise conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )
    found = rows.subnets_of(tx, [port])
    if not found:
        raise BadRequest("Router port must have at least one fixed IP", kind="BadRequest")
    if sum(subnet.ip_version == 4 for subnet in found) > 1:
        raise BadRequest("Cannot have multiple IPv4 subnets on router port", kind="BadRequest")
    _refuse_foreign_advertisements(found)
    present = rows.legs(tx, row.id)
    _refuse_second_v6(present, port, found)
    _refuse_overlap(tx, row, present, found)
    if not caller.is_admin:
        _refuse_outside_pools(caller, port, found)
    port_rows.change_groups(tx, port.id, [])
    resources.touch(
        tx, ports, port.id, device_id=row.id, device_owner=owners.ROUTER_INTERFACE, security_group_ids=[],
    )  # fmt: skip
    tx.execute(_PLUG, {"router_id": row.id, "port_id": port.id})
    marks.network(tx, port.network_id)
    _changed(tx, row, "interface added", port.id)
    return port_rows.read(tx, port.id)


def _refuse_second_v6(present: Sequence[Any], port: Any, found: Sequence[Any]) -> None:
    if all(subnet.ip_version == 4 for subnet in found):
        return
    for leg in present:
        if leg.network_id == port.network_id and any(":" in item["ip_address"] for item in leg.fixed_ips):
            raise BadRequest(
                "Cannot have multiple router ports with the same network id if both contain IPv6 subnets. Existing "
                f"port {leg.id} has IPv6 subnet(s) and network id {leg.network_id}",
                kind="BadRequest",
            )


def _refuse_outside_pools(caller: Caller, port: Any, found: Sequence[Any]) -> None:
    by_id = {subnet.id: subnet for subnet in found}
    for item in port.fixed_ips:
        subnet = by_id[item["subnet_id"]]
        number = int(ipaddress.ip_address(item["ip_address"]))
        pooled = any(first <= number <= last for first, last in loaded_pools(subnet.allocation_pools))
        if not pooled and caller.project_id != subnet.project_id:
            raise BadRequest(
                f"Cannot add interface to router because specified port {port.id} has an IP address out of the "
                f"allocation pool of subnet {subnet.id}, which is not owned by the project making the request",
                kind="BadRequest",
            )


def _refuse_overlap(tx: Transaction, row: Any, present: Sequence[Any], new: Sequence[Any]) -> None:
    # The router's row is changed first: of two transactions that plug overlapping subnets, one is run again.
    resources.touch(tx, routers, row.id)
    taken = list(rows.subnets_of(tx, present))
    for network_id in {gateway.network_id for gateway in gateways.of(row)}:
        taken += choice.subnets_of(tx, network_id)
    refuse_overlap(new, taken)


def unplug(tx: Transaction, runtime: Runtime, row: Any, port: Any, subnet_id: str | None) -> list[str]:
    """Take a router from a port's network, or from one of its subnets; returns the subnets it left."""
    gone = [item for item in port.fixed_ips if subnet_id in (None, item["subnet_id"])]
    _refuse_used(tx, row, [item["subnet_id"] for item in gone])
    kept = [item for item in port.fixed_ips if item not in gone]
    if kept:
        chosen = [
            (item["subnet_id"], int(ipaddress.ip_address(item["ip_address"])), item["ip_address"]) for item in kept
        ]
        resources.touch(tx, ports, port.id, fixed_ips=port_rows.change_addresses(tx, port, chosen))
    else:
        tx.execute(_UNPLUG, {"port": port.id})
        port_rows.remove(tx, runtime, port.id)
    resources.touch(tx, routers, row.id)
    _changed(tx, row, "interface removed", port.id)
    return [item["subnet_id"] for item in gone]


def _refuse_used(tx: Transaction, row: Any, subnet_ids: Sequence[str]) -> None:
    found = tx.all(_SUBNETS, {"ids": list(subnet_ids)}) if subnet_ids else []
    networks = {subnet.id: ipaddress.ip_network(subnet.cidr) for subnet in found}
    behind = [item.address for statement in (_FLOATING, _FORWARDED) for item in tx.all(statement, {"id": row.id})]
    hops = [route["nexthop"] for route in row.routes]
    proxied = [item.address for item in tx.all(_PROXIED, {"id": row.id})]
    for kind, what, addresses in (
        ("RouterInterfaceInUseByFloatingIP", "floating IPs", behind),
        ("RouterInterfaceInUseByRoute", "routes", hops),
        ("RouterInterfaceInUseByNDPProxy", "ndp proxies", proxied),
    ):
        subnet_id = _first_used(networks, addresses)
        if subnet_id is not None:
            raise conflict(
                kind,
                f"Router interface for subnet {subnet_id} on router {row.id} cannot be deleted, as it is required by "
                f"one or more {what}.",
            )


def _first_used(networks: Mapping[str, IPNetwork], addresses: Sequence[str]) -> str | None:
    """The first of these networks that has one of the addresses."""
    parsed = [ipaddress.ip_address(text) for text in addresses]
    used = (key for key, network in networks.items() if any(address in network for address in parsed))
    return next(used, None)


def _changed(tx: Transaction, row: Any, event: str, detail: str) -> None:
    timeline.record(tx, marks.ROUTER, row.id, event, detail)
    marks.router(tx, row.id)


def not_found(router_id: str, what: str, resource_id: str) -> NotFound:
    """A router has no such interface."""
    if what == "subnet":
        return NotFound(
            f"Router {router_id} has no interface on subnet {resource_id}", kind="RouterInterfaceNotFoundForSubnet"
        )
    return NotFound(
        f"Router {router_id} does not have an interface with id {resource_id}", kind="RouterInterfaceNotFound"
    )
