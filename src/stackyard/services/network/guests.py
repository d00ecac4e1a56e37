"""What a guest is told of its ports: their networks, subnets, security groups and floating addresses, read in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network.tables import floating_ips, networks, ports, security_groups, subnets

_OF_DEVICE = sa.select(ports).where(ports.c.device_id == bindparam("device")).order_by(ports.c.created_at, ports.c.id)
_NETWORKS = sa.select(networks.c.id, networks.c.mtu).where(networks.c.id.in_(bindparam("ids", expanding=True)))
_SUBNETS = sa.select(subnets).where(subnets.c.id.in_(bindparam("ids", expanding=True)))
_GROUPS = sa.select(security_groups.c.id, security_groups.c.name).where(
    security_groups.c.id.in_(bindparam("ids", expanding=True))
)
_FLOATING = (
    sa.select(floating_ips.c.port_id, floating_ips.c.floating_ip_address)
    .where(floating_ips.c.port_id.in_(bindparam("ids", expanding=True)))
    .order_by(floating_ips.c.created_at, floating_ips.c.id)
)
_DHCP_PORTS = sa.select(ports.c.fixed_ips).where(
    ports.c.network_id.in_(bindparam("ids", expanding=True)), ports.c.device_owner == "network:dhcp"
)


class GuestSubnet(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet that a port has addresses in, with these. `routes` are {"destination", "nexthop"}.

    `dns` are the subnet's own servers, else those that the network serves.
    """

    id: str
    version: int
    cidr: str
    addresses: tuple[str, ...]
    gateway: str | None
    dhcp: bool
    dns: tuple[str, ...]
    routes: tuple[dict[str, str], ...]
    ipv6_address_mode: str | None


class GuestPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port as its guest may know it; subnets in the order of its addresses."""

    id: str
    network_id: str
    mac: str
    mtu: int
    subnets: tuple[GuestSubnet, ...]
    security_groups: tuple[str, ...]
    floating_ips: tuple[str, ...]


def guest_ports(tx: Transaction, device_id: str) -> list[GuestPort]:
    """The ports of a workload, oldest first."""
    rows = tx.all(_OF_DEVICE, {"device": device_id})
    if not rows:
        return []
    mtus = {row.id: row.mtu for row in tx.all(_NETWORKS, {"ids": [row.network_id for row in rows]})}
    named = {row.id: row.name for row in tx.all(_GROUPS, {"ids": _each(rows, "security_group_ids")})}
    known = {
        row.id: row for row in tx.all(_SUBNETS, {"ids": [ip["subnet_id"] for row in rows for ip in row.fixed_ips]})
    }
    served = _served(tx, mtus)
    floating: dict[str, list[str]] = {}
    for row in tx.all(_FLOATING, {"ids": [row.id for row in rows]}):
        floating.setdefault(row.port_id, []).append(row.floating_ip_address)
    return [
        GuestPort(
            id=row.id,
            network_id=row.network_id,
            mac=row.mac_address,
            mtu=mtus[row.network_id],
            subnets=tuple(_subnets(row.fixed_ips, known, served)),
            security_groups=tuple(named[one] for one in row.security_group_ids if one in named),
            floating_ips=tuple(floating.get(row.id, ())),
        )
        for row in rows
    ]


def _each(rows: Iterable[Any], column: str) -> list[str]:
    return sorted({item for row in rows for item in getattr(row, column)})


def _served(tx: Transaction, network_ids: Iterable[str]) -> dict[str, list[str]]:
    """By subnet, the addresses at which DHCP and DNS are served in it."""
    found: dict[str, list[str]] = {}
    for row in tx.all(_DHCP_PORTS, {"ids": list(network_ids)}):
        for item in row.fixed_ips:
            found.setdefault(item["subnet_id"], []).append(item["ip_address"])
    return found


def _subnets(
    fixed_ips: Sequence[Mapping[str, str]], known: Mapping[str, Any], served: Mapping[str, list[str]]
) -> Iterable[GuestSubnet]:
    addresses: dict[str, list[str]] = {}
    for item in fixed_ips:
        addresses.setdefault(item["subnet_id"], []).append(item["ip_address"])
    for subnet_id, own in addresses.items():
        row = known[subnet_id]
        yield GuestSubnet(
            id=row.id,
            version=row.ip_version,
            cidr=row.cidr,
            addresses=tuple(own),
            gateway=row.gateway_ip,
            dhcp=bool(row.enable_dhcp),
            dns=tuple(row.dns_nameservers or served.get(subnet_id, ())),
            routes=tuple(row.host_routes),
            ipv6_address_mode=row.ipv6_address_mode,
        )
