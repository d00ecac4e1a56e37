"""How many addresses networks have left, and how many are taken."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.paging import Listing, integer
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources, seen
from stackyard.services.network.addresses import IPNetwork, key_of, loaded_pools
from stackyard.services.network.allocation import size
from stackyard.services.network.checks import ADMIN, SERVICE, any_of
from stackyard.services.network.tables import ip_allocations, networks, subnets

_SUBNETS = (
    sa.select(subnets)
    .where(subnets.c.network_id.in_(bindparam("networks", expanding=True)))
    .order_by(subnets.c.created_at, subnets.c.id)
)
_USED = (
    sa.select(ip_allocations.c.subnet_id, sa.func.count().label("used"))
    .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
    .where(subnets.c.network_id.in_(bindparam("networks", expanding=True)))
    .group_by(ip_allocations.c.subnet_id)
)
_USED_IN = (
    sa.select(sa.func.count())
    .select_from(ip_allocations)
    .where(
        ip_allocations.c.subnet_id == bindparam("subnet"),
        ip_allocations.c.ip_key >= bindparam("first"),
        ip_allocations.c.ip_key <= bindparam("last"),
    )
)

LISTING = Listing(
    networks,
    {
        "network_id": resources.column_filter(networks.c.id),
        "network_name": resources.column_filter(networks.c.name),
        "project_id": resources.column_filter(networks.c.project_id),
        "tenant_id": resources.column_filter(networks.c.project_id),
    },
    max_limit=resources.LARGEST_PAGE,
)
_DETAILS = ("total_ips_in_subnet", "total_ips_in_allocation_pool", "used_ips_in_subnet", "used_ips_in_allocation_pool")


def views(tx: Transaction, rows: Sequence[Any], versions: Iterable[int] = ()) -> list[dict[str, Any]]:
    """What the API shows of these networks; with `versions`, only of subnets of these and networks with such."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    wanted = set(versions)
    used = {row.subnet_id: int(row.used) for row in tx.all(_USED, {"networks": ids})}
    each: dict[str, list[dict[str, Any]]] = {network_id: [] for network_id in ids}
    for subnet in tx.all(_SUBNETS, {"networks": ids}):
        if not wanted or subnet.ip_version in wanted:
            each[subnet.network_id].append(_of_subnet(tx, subnet, used.get(subnet.id, 0)))
    return [_of_network(row, each[row.id]) for row in rows if each[row.id] or not wanted]


def _of_subnet(tx: Transaction, subnet: Any, used: int) -> dict[str, Any]:
    pools = loaded_pools(subnet.allocation_pools)
    network = ipaddress.ip_network(subnet.cidr)
    in_pools = 0
    for first, last in pools:
        ends = {"first": key_of(first, subnet.ip_version), "last": key_of(last, subnet.ip_version)}
        in_pools += int(tx.scalar(_USED_IN, {"subnet": subnet.id} | ends)) if used else 0
    return {
        "subnet_id": subnet.id,
        "subnet_name": subnet.name,
        "cidr": subnet.cidr,
        "ip_version": subnet.ip_version,
        # A subnet without pools has all its addresses for those who ask for one by number.
        "total_ips": size(pools) if pools else network.num_addresses,
        "used_ips": used,
        "ip_availability_details": dict(zip(_DETAILS, (_hosts(network), size(pools), used, in_pools), strict=True)),
    }


def _hosts(network: IPNetwork) -> int:
    """A network's addresses, without IPv4's network and broadcast address."""
    edges = 2 if network.version == 4 and network.prefixlen < 31 else 0
    return network.num_addresses - edges


def _of_network(row: Any, each: list[dict[str, Any]]) -> dict[str, Any]:
    details = [item["ip_availability_details"] for item in each]
    return {
        "network_id": row.id,
        "network_name": row.name,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "total_ips": sum(item["total_ips"] for item in each),
        "used_ips": sum(item["used_ips"] for item in each),
        "subnet_ip_availability": each,
        "ip_availability_details": {name: sum(item[name] for item in details) for name in _DETAILS},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network-ip-availabilities, with filters by network, project and IP version."""
    if not call.allows("get_network_ip_availability"):
        return {"network_ip_availabilities": []}
    versions = [int(str(integer("ip_version", value))) for value in call.query.all("ip_version")]
    page = resources.page_of(tx, call.query, LISTING)
    return {"network_ip_availabilities": [resources.shown(call, item) for item in views(tx, page.rows, versions)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network-ip-availabilities/{network_id}; raises NetworkNotFound."""
    row = seen.any_network(tx, call.path["network_id"])
    return {"network_ip_availability": resources.shown(call, views(tx, [row])[0])}


ROUTES = (
    Route("GET", "/v2.0/network-ip-availabilities", list_, "get_network_api"),
    Route("GET", "/v2.0/network-ip-availabilities/{network_id}", show, "get_network_ip_availability"),
)

POLICIES = (Rule("get_network_ip_availability", any_of(ADMIN, SERVICE), "See how many addresses networks have left."),)
