"""Writing routers: their row, gateway port and legs, for the API and for a new cloud."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, owners, resources, seen
from stackyard.services.network.addresses import IPNetwork
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.resources import flag
from stackyard.services.network.routers.bodies import GatewayInfo, NewRouter, refuse_overlap
from stackyard.services.network.tables import floating_ips, ports, router_ports, routers, subnets

_INSERT = sa.insert(routers)
_ROW = sa.select(routers).where(routers.c.id == bindparam("id"))
_DELETE = sa.delete(routers).where(routers.c.id == bindparam("id"))
_PLUG = sa.insert(router_ports)
_UNPLUG = sa.delete(router_ports).where(router_ports.c.port_id == bindparam("port"))
_LEGS = (
    sa.select(ports)
    .join(router_ports, router_ports.c.port_id == ports.c.id)
    .where(router_ports.c.router_id == bindparam("id"))
    .order_by(ports.c.created_at)
)
_SUBNETS = sa.select(subnets).where(subnets.c.id.in_(bindparam("ids", expanding=True)))
_FLOATING = sa.select(floating_ips).where(floating_ips.c.router_id == bindparam("id"))


def read(tx: Transaction, router_id: str) -> Any:
    """A router's row; raises RouterNotFound."""
    row = tx.first(_ROW, {"id": router_id})
    if row is None:
        raise not_found("Router", router_id)
    return row


def legs(tx: Transaction, router_id: str) -> Sequence[Any]:
    """The ports by which a router is on tenant networks."""
    return tx.all(_LEGS, {"id": router_id})


def subnets_of(tx: Transaction, ports_: Sequence[Any]) -> Sequence[Any]:
    """The subnets that ports have addresses of."""
    ids = sorted({item["subnet_id"] for port in ports_ for item in port.fixed_ips})
    return tx.all(_SUBNETS, {"ids": ids}) if ids else []


def connected(tx: Transaction, row: Any) -> tuple[list[IPNetwork], frozenset[str]]:
    """The subnets that a router is on, and its own addresses."""
    found = list(legs(tx, row.id))
    gateway = port_rows.read(tx, row.gateway_port_id) if row.gateway_port_id else None
    if gateway is not None:
        found.append(gateway)
    own = frozenset(item["ip_address"] for port in found for item in port.fixed_ips)
    return [ipaddress.ip_network(subnet.cidr) for subnet in subnets_of(tx, found)], own


def insert(tx: Transaction, runtime: Runtime, project_id: str, body: NewRouter, network: Any) -> str:
    """Write a router and return its id; `network` is the row of the external one that it leads to, or None."""
    resources.reserve(tx, runtime, project_id, "router")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    row |= {
        "admin_state_up": flag("admin_state_up", body.admin_state_up, default=True),
        "status": "ACTIVE",
        "status_reason": "",
        "gateway_port_id": None,
        "gateway_network_id": None,
        "gateway_ips": [],
        "enable_snat": True,
        "routes": [],
    }
    tx.execute(_INSERT, row)
    timeline.record(tx, marks.ROUTER, row["id"], "create asked")
    if network is not None and isinstance(body.external_gateway_info, GatewayInfo):
        set_gateway(tx, runtime, seen.Found(row), body.external_gateway_info, network)
    marks.router(tx, row["id"])
    return str(row["id"])


def set_gateway(tx: Transaction, runtime: Runtime, row: Any, info: GatewayInfo, network: Any) -> None:
    """Lead a router out through an external network, or change how it does."""
    if not network.external:
        raise BadRequest(f"Network {network.id} is not an external network", kind="BadRequest")
    refuse_overlap(choice.subnets_of(tx, network.id), subnets_of(tx, legs(tx, row.id)))
    snat = flag("enable_snat", info.enable_snat, default=True)
    wanted = None if info.external_fixed_ips is UNSET else info.external_fixed_ips or None
    port = port_rows.read(tx, row.gateway_port_id) if row.gateway_port_id else None
    if port is not None and port.network_id == network.id:
        fixed = port.fixed_ips
        if wanted is not None:
            wish = choice.Wish(
                network.id, port.mac_address, owners.ROUTER_GATEWAY, wanted, port.fixed_ips, port_id=port.id
            )
            fixed = port_rows.change_addresses(tx, port, choice.choose(tx, wish))
            resources.touch(tx, ports, port.id, fixed_ips=fixed)
        resources.touch(tx, routers, row.id, enable_snat=snat, gateway_ips=fixed)
        return
    if port is not None:
        clear_gateway(tx, runtime, row)
    new = port_rows.NewPort(
        network_id=network.id, project_id="", fixed_ips=wanted, device_id=row.id, device_owner=owners.ROUTER_GATEWAY,
        port_security=False,
    )  # fmt: skip
    made = port_rows.insert(tx, runtime, new)
    if not made["fixed_ips"]:
        raise BadRequest(f"Network {network.id} has no subnet that a router's gateway could be on.", kind="BadRequest")
    resources.touch(
        tx, routers, row.id, gateway_port_id=made["id"], gateway_network_id=network.id, enable_snat=snat,
        gateway_ips=made["fixed_ips"],
    )  # fmt: skip
    timeline.record(tx, marks.ROUTER, row.id, "gateway set", network.id)


def clear_gateway(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Take a router's gateway away; raises a conflict while floating IPs lead through it."""
    if row.gateway_port_id is None:
        return
    if tx.first(_FLOATING, {"id": row.id}) is not None:
        raise conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            f"Gateway cannot be updated for router {row.id}, since a gateway to external network "
            f"{row.gateway_network_id} is required by one or more floating IPs.",
        )
    resources.touch(tx, routers, row.id, gateway_port_id=None, gateway_network_id=None, gateway_ips=[])
    port_rows.remove(tx, runtime, row.gateway_port_id)
    timeline.record(tx, marks.ROUTER, row.id, "gateway cleared")


def plug_subnet(tx: Transaction, runtime: Runtime, row: Any, subnet: Any) -> Any:
    """Put a router onto a subnet, as its gateway; returns the leg's port."""
    if not subnet.gateway_ip:
        raise BadRequest("Subnet for router interface must have a gateway IP", kind="BadRequest")
    present = legs(tx, row.id)
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


def _is_v6_leg(leg: Any, network_id: str) -> bool:
    return leg.network_id == network_id and all(":" in item["ip_address"] for item in leg.fixed_ips)


def plug_port(tx: Transaction, row: Any, port: Any) -> Any:
    """Put a router onto a network by a port that was made beforehand; returns the port."""
    if port.device_id or port.netns is not None:
        raise conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )
    found = subnets_of(tx, [port])
    if not found:
        raise BadRequest("Router port must have at least one fixed IP", kind="BadRequest")
    if sum(subnet.ip_version == 4 for subnet in found) > 1:
        raise BadRequest("Cannot have multiple IPv4 subnets on router port", kind="BadRequest")
    _refuse_overlap(tx, row, legs(tx, row.id), found)
    port_rows.change_groups(tx, port.id, [])
    resources.touch(
        tx, ports, port.id, device_id=row.id, device_owner=owners.ROUTER_INTERFACE, security_group_ids=[],
    )  # fmt: skip
    tx.execute(_PLUG, {"router_id": row.id, "port_id": port.id})
    marks.network(tx, port.network_id)
    _changed(tx, row, "interface added", port.id)
    return port_rows.read(tx, port.id)


def _refuse_overlap(tx: Transaction, row: Any, present: Sequence[Any], new: Sequence[Any]) -> None:
    # The router's row is changed first: of two transactions that plug overlapping subnets, one is run again.
    resources.touch(tx, routers, row.id)
    taken = list(subnets_of(tx, present))
    if row.gateway_network_id:
        taken += choice.subnets_of(tx, row.gateway_network_id)
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
    for floating in tx.all(_FLOATING, {"id": row.id}):
        address = ipaddress.ip_address(floating.fixed_ip_address)
        for subnet_id, network in networks.items():
            if address in network:
                raise conflict(
                    "RouterInterfaceInUseByFloatingIP",
                    f"Router interface for subnet {subnet_id} on router {row.id} cannot be deleted, as it is required "
                    "by one or more floating IPs.",
                )
    for route in row.routes:
        if any(ipaddress.ip_address(route["nexthop"]) in network for network in networks.values()):
            raise conflict(
                "RouterInterfaceInUseByRoute",
                f"Router interface for subnet {subnet_ids[0]} on router {row.id} cannot be deleted, as it is required "
                "by one or more routes.",
            )


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a router that is on no tenant network any more; raises RouterInUse."""
    if legs(tx, row.id):
        raise conflict("RouterInUse", f"Router {row.id} still has ports")
    clear_gateway(tx, runtime, row)
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, runtime, row.project_id, "router")
    timeline.record(tx, marks.ROUTER, row.id, "delete asked")
    marks.router(tx, row.id)


def _changed(tx: Transaction, row: Any, event: str, detail: str) -> None:
    timeline.record(tx, marks.ROUTER, row.id, event, detail)
    marks.router(tx, row.id)


def interface_not_found(router_id: str, what: str, resource_id: str) -> NotFound:
    """A router has no such interface."""
    if what == "subnet":
        return NotFound(
            f"Router {router_id} has no interface on subnet {resource_id}", kind="RouterInterfaceNotFoundForSubnet"
        )
    return NotFound(
        f"Router {router_id} does not have an interface with id {resource_id}", kind="RouterInterfaceNotFound"
    )
