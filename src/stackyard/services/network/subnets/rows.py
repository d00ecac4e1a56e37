"""Writing subnets, and the network's service port with them."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import allocation, marks, owners, resources
from stackyard.services.network.addresses import interface_address, stored_pools
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.resources import either
from stackyard.services.network.subnetpools import rows as pools
from stackyard.services.network.subnets import gateways, origin, segments
from stackyard.services.network.subnets.bodies import NewSubnet, read_new, read_version
from stackyard.services.network.tables import ip_allocations, networks, ports, subnets

_LEAST_MTU = {4: 68, 6: 1280}

_INSERT = sa.insert(subnets)
_DELETE = sa.delete(subnets).where(subnets.c.id == bindparam("id"))
_NETWORK_SUBNETS = sa.select(networks.c.subnet_ids).where(networks.c.id == bindparam("id"))
_DHCP_PORT = sa.select(ports).where(ports.c.network_id == bindparam("network"), ports.c.device_owner == owners.DHCP)
_PORTS_ON = sa.select(ports).where(ports.c.network_id == bindparam("network"))
_PORTS_OF = (
    sa.select(ports)
    .join(ip_allocations, ip_allocations.c.port_id == ports.c.id)
    .where(ip_allocations.c.subnet_id == bindparam("subnet"))
)


def insert(
    tx: Transaction, runtime: Runtime, network: Any, project_id: str, body: NewSubnet, *, pool: Any = None
) -> dict[str, Any]:
    """Write a new subnet with all that follows from it; raises Neutron's faults.

    `pool` is the subnet pool that it is cut out of, None for a subnet whose cidr is given.
    """
    # The network's row is changed first: of two transactions that add overlapping subnets, one is run again.
    resources.touch(tx, networks, network.id)
    version = read_version(body)
    _refuse_small_mtu(network, version)
    wanted = origin.asked(body, pool)
    pools.check_affinity(tx, network.id, version, pool)
    cidr = wanted if pool is None else pools.allocate(tx, pool, project_id, wanted)
    if cidr is None or isinstance(cidr, int):
        raise TypeError("without a pool there is a cidr, and a pool gives one")
    values = read_new(body, cidr)
    _refuse_overlap(tx, network.id, values["cidr"])
    segments.check_new(tx, network.id, values["segment_id"], values["service_types"])
    resources.reserve(tx, runtime, project_id, "subnet")
    row = resources.new_row(tx, new_uuid(), project_id, body) | values
    row |= {
        "network_id": network.id,
        "allocation_pools": stored_pools(values["allocation_pools"], values["ip_version"]),
        "subnetpool_id": None if pool is None else pool.id,
        "tags": resources.read_tags(either(body.tags, None) or []),
    }
    tx.execute(_INSERT, row)
    resources.store_tags(tx, [row])
    known = tx.scalar(_NETWORK_SUBNETS, {"id": network.id})
    tx.execute(sa.update(networks).where(networks.c.id == network.id).values(subnet_ids=[*known, row["id"]]))
    _number_ports(tx, network.id, row)
    refresh_service_port(tx, runtime, network.id)
    if network.external:
        gateways.extend(tx, network.id, _New(row))
        marks.routers_of(tx, network.id)
    timeline.record(tx, "subnet", row["id"], "created", row["cidr"])
    marks.network(tx, network.id)
    return row


def _refuse_small_mtu(network: Any, version: int) -> None:
    least = _LEAST_MTU[version]
    if network.mtu < least:
        raise conflict(
            "NetworkMTUSubnetConflict",
            f"Invalid network MTU on network {network.id}: a subnet of IPv{version} needs at least {least} bytes.",
        )


def _refuse_overlap(tx: Transaction, network_id: str, cidr: str) -> None:
    new = ipaddress.ip_network(cidr)
    for other in choice.subnets_of(tx, network_id):
        if new.version == other.ip_version and new.overlaps(ipaddress.ip_network(other.cidr)):
            raise invalid(
                f"Requested subnet with cidr: {cidr} for network: {network_id} overlaps with another subnet "
                f"({other.cidr}, {other.id})."
            )


class _New:
    """A row that was just written, with its columns as attributes."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.__dict__ = row


def _number_ports(tx: Transaction, network_id: str, row: dict[str, Any]) -> None:
    """In a subnet whose hosts number themselves, the ports that are there already get their addresses."""
    if not choice.numbers_itself(_New(row)):
        return
    for port in tx.all(_PORTS_ON, {"network": network_id}):
        if port.device_owner in owners.ROUTER or port.device_owner in (owners.FLOATING_IP, owners.DHCP):
            continue
        text = interface_address(row["cidr"], port.mac_address)
        allocation.take(tx, port.id, [(row["id"], int(ipaddress.ip_address(text)), text)])
        fixed = [*port.fixed_ips, {"subnet_id": row["id"], "ip_address": text}]
        resources.touch(tx, ports, port.id, fixed_ips=fixed)
        if port.netns is not None:
            marks.port(tx, port.id)
            marks.security_groups(tx, port.security_group_ids)


def remove(tx: Transaction, runtime: Runtime, subnet_id: str, project_id: str) -> None:
    """Delete a subnet that nothing uses any more, its network being deleted or told by the caller."""
    resources.forget_tags(tx, subnet_id)
    tx.execute(_DELETE, {"id": subnet_id})
    resources.release(tx, runtime, project_id, "subnet")
    timeline.record(tx, "subnet", subnet_id, "deleted")


def detach(tx: Transaction, runtime: Runtime, network_id: str, subnet_id: str) -> None:
    """Take a subnet's addresses from ports that do not keep it, and the subnet from its network."""
    for port in tx.all(_PORTS_OF, {"subnet": subnet_id}):
        _drop_address(tx, port, subnet_id)
    known = tx.scalar(_NETWORK_SUBNETS, {"id": network_id})
    resources.touch(tx, networks, network_id, subnet_ids=[known_id for known_id in known if known_id != subnet_id])
    refresh_service_port(tx, runtime, network_id, without=subnet_id)
    marks.network(tx, network_id)


def _drop_address(tx: Transaction, port: Any, subnet_id: str) -> None:
    gone = [item for item in port.fixed_ips if item["subnet_id"] == subnet_id]
    for item in gone:
        allocation.give_back(tx, port.id, subnet_id, item["ip_address"])
    resources.touch(tx, ports, port.id, fixed_ips=[item for item in port.fixed_ips if item not in gone])
    if port.netns is not None:
        marks.port(tx, port.id)
        marks.security_groups(tx, port.security_group_ids)


def ports_of(tx: Transaction, subnet_id: str) -> list[Any]:
    """The ports with an address of a subnet."""
    return list(tx.all(_PORTS_OF, {"subnet": subnet_id}))


_DHCP_AGENT = sa.select(networks.c.dhcp_agent).where(networks.c.id == bindparam("id"))


def refresh_service_port(tx: Transaction, runtime: Runtime, network_id: str, *, without: str = "") -> None:
    """Make, change or remove the port that DHCP and DNS answer from: it has an address in each subnet with DHCP."""
    port = tx.first(_DHCP_PORT, {"network": network_id})
    held = {item["subnet_id"] for item in port.fixed_ips} if port is not None else set()
    served = [
        s
        for s in choice.subnets_of(tx, network_id)
        if s.enable_dhcp and s.id != without and (s.id in held or _has_room(tx, s))
    ]
    if not tx.scalar(_DHCP_AGENT, {"id": network_id}):
        served = []
    if not served:
        if port is not None:
            port_rows.remove(tx, runtime, port.id)
        return
    wanted = [{"subnet_id": s.id} for s in served]
    if port is None:
        network = tx.first(sa.select(networks).where(networks.c.id == bindparam("id")), {"id": network_id})
        new = port_rows.NewPort(
            network_id=network_id,
            project_id=network.project_id if network else "",
            fixed_ips=wanted,
            device_id=f"dhcp-{network_id}",
            device_owner=owners.DHCP,
            port_security=False,
            lowest=True,
        )
        port_rows.insert(tx, runtime, new)
        return
    wish = choice.Wish(network_id, port.mac_address, owners.DHCP, wanted, port.fixed_ips, lowest=True, port_id=port.id)
    chosen = [item for item in choice.choose(tx, wish) if item[0] != without]
    fixed = port_rows.change_addresses(tx, port, chosen)
    if fixed != port.fixed_ips:
        resources.touch(tx, ports, port.id, fixed_ips=fixed)


def _has_room(tx: Transaction, subnet: Any) -> bool:
    """A subnet with no address left for its service port goes without DHCP and DNS, rather than not at all."""
    return choice.numbers_itself(subnet) or allocation.free_address(tx, allocation.Space.of(subnet)) is not None
