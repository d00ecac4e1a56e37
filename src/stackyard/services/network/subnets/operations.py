"""What the API does with subnets."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.paging import Filter, Listing, boolean
from stackyard.services.network import marks, owners, resources, seen
from stackyard.services.network.addresses import (
    check_gateway,
    default_pools,
    loaded_pools,
    read_address,
    read_pools,
    stored_pools,
)
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.ports.choice import numbers_itself
from stackyard.services.network.resources import either, flag
from stackyard.services.network.subnets import origin, rows, segments
from stackyard.services.network.subnets.bodies import (
    NewSubnet,
    SubnetFields,
    check_dhcp,
    read_nameservers,
    read_routes,
    read_service_types,
    refuse_gateway_in_pools,
)
from stackyard.services.network.tables import networks, ports, router_ports, subnets

NAMES = ("subnet", "subnets")

_SHOWN = sa.select(subnets, networks.c.external).join(networks, networks.c.id == subnets.c.network_id)
_ONE = _SHOWN.where(subnets.c.id == bindparam("id"))
_LEGS = (
    sa.select(ports.c.fixed_ips)
    .join(router_ports, router_ports.c.port_id == ports.c.id)
    .where(ports.c.network_id == bindparam("network"))
)


_IS_SHARED = sa.case((seen.NETWORK_SHARED, sa.true()), else_=sa.false())


def _on_networks(fact: sa.ColumnElement[Any]) -> Filter:
    return Filter(
        where=lambda values: subnets.c.network_id.in_(sa.select(networks.c.id).where(fact.in_(values))), read=boolean
    )


_COLUMNS = ("network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode",
            "subnetpool_id", "segment_id")  # fmt: skip

LISTING = Listing(
    subnets,
    resources.standard_filters(subnets, *_COLUMNS, "dns_publish_fixed_ip")
    | {"shared": _on_networks(_IS_SHARED), "router:external": _on_networks(networks.c.external)},
    sort_keys=("name", "project_id", *_COLUMNS, "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=_SHOWN,
)


def load(tx: Transaction, call: Call) -> Any:
    """The subnet in the path."""
    return seen.subnet(tx, call.caller, call.path["subnet_id"])


def view(row: Any, *, segment: bool) -> dict[str, Any]:
    """A subnet as the API shows it, with its `segment` to those who may see that."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "network_id": row.network_id,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "enable_dhcp": row.enable_dhcp,
        "ipv6_ra_mode": row.ipv6_ra_mode,
        "ipv6_address_mode": row.ipv6_address_mode,
        "allocation_pools": row.allocation_pools,
        "dns_nameservers": row.dns_nameservers,
        "host_routes": row.host_routes,
        "service_types": row.service_types,
        "subnetpool_id": row.subnetpool_id,
        "dns_publish_fixed_ip": row.dns_publish_fixed_ip,
        "router:external": row.external,
    })  # fmt: skip
    if segment:
        shown["segment_id"] = row.segment_id
    return shown


def _sees_segment(call: Call) -> bool:
    return call.allows("get_subnet:segment_id", {})


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /subnets."""
    page = resources.page_of(tx, call.query, LISTING, seen.scope(call.caller, "subnet"))
    segment = _sees_segment(call)
    return resources.listed(call, "subnets", page, lambda row: view(row, segment=segment))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /subnets/{subnet_id}."""
    del tx
    return {"subnet": resources.shown(call, view(call.target, segment=_sees_segment(call)))}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule create_subnet looks at: the network that the (first) new subnet is to be on."""
    bodies, bulk = resources.read_bodies(call, NewSubnet, *NAMES)
    items = []
    for body in bodies:
        network = seen.network(tx, call.caller, body.network_id)
        items.append((body, network, seen.on_network(network, resources.owner(call, body))))
    return items[0][2] | {"items": items, "bulk": bulk}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /subnets, one or many."""
    views = []
    for body, network, target in call.target["items"]:
        call.require("create_subnet", target)
        _require_attributes(call, "create_subnet", target, body)
        pool = origin.pool_of(tx, call.caller, body)
        row = rows.insert(tx, call.runtime, network, target["project_id"], body, pool=pool)
        views.append(view(tx.first(_ONE, {"id": row["id"]}), segment=_sees_segment(call)))
    return resources.created(call, NAMES, views, bulk=call.target["bulk"])


def _require_attributes(call: Call, rule: str, target: Any, body: SubnetFields) -> None:
    changing = rule.startswith("update")
    given = [
        (name, getattr(body, name, UNSET) is not UNSET and (changing or bool(getattr(body, name))))
        for name in ("segment_id", "service_types")
    ]
    tags = bool(either(getattr(body, "tags", UNSET), None))
    resources.require_attributes(call, rule, target, [*given, ("tags", tags)])


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /subnets/{subnet_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _require_attributes(call, "update_subnet", row, body)
    changes = _changes(tx, row, body)
    if changes:
        resources.touch(tx, subnets, row.id, **changes)
        timeline.record(tx, "subnet", row.id, "updated", ", ".join(sorted(changes)))
        if "enable_dhcp" in changes:
            rows.refresh_service_port(tx, call.runtime, row.network_id)
        marks.network(tx, row.network_id)
        if changes.keys() & {"gateway_ip", "host_routes"}:
            marks.wired_ports(tx, row.network_id)
        marks.routers_of(tx, row.network_id)
    return {"subnet": view(tx.first(_ONE, {"id": row.id}), segment=_sees_segment(call))}


def _changes(tx: Transaction, row: Any, body: SubnetFields) -> dict[str, Any]:
    network = ipaddress.ip_network(row.cidr)
    changes: dict[str, Any] = {}
    for name in ("name", "description"):
        if getattr(body, name) is not UNSET:
            changes[name] = getattr(body, name) or ""
    if body.enable_dhcp is not UNSET:
        changes["enable_dhcp"] = flag("enable_dhcp", body.enable_dhcp, default=True)
        if not changes["enable_dhcp"] and (row.ipv6_ra_mode or row.ipv6_address_mode):
            raise invalid("enable_dhcp cannot be disabled while ipv6_ra_mode or ipv6_address_mode is set.")
        if changes["enable_dhcp"] and not row.enable_dhcp:
            check_dhcp(network)
    if body.dns_nameservers is not UNSET:
        changes["dns_nameservers"] = read_nameservers(row.ip_version, body.dns_nameservers)
    if body.service_types is not UNSET:
        changes["service_types"] = read_service_types(body.service_types)
    if body.dns_publish_fixed_ip is not UNSET:
        changes["dns_publish_fixed_ip"] = flag("dns_publish_fixed_ip", body.dns_publish_fixed_ip, default=False)
    if body.segment_id is not UNSET:
        changes["segment_id"] = body.segment_id or None
        segments.check_moved(tx, row, changes["segment_id"])
    if body.host_routes is not UNSET:
        changes["host_routes"] = read_routes(network, body.host_routes)
    _address_changes(tx, row, body, changes)
    return {name: value for name, value in changes.items() if value != getattr(row, name)}


def _address_changes(tx: Transaction, row: Any, body: SubnetFields, changes: dict[str, Any]) -> None:
    network = ipaddress.ip_network(row.cidr)
    pools = loaded_pools(row.allocation_pools)
    gateway = ipaddress.ip_address(row.gateway_ip) if row.gateway_ip else None
    if body.gateway_ip is not UNSET:
        if body.gateway_ip is None:
            gateway = None
        else:
            gateway = read_address("gateway_ip", body.gateway_ip)
            check_gateway(network, gateway)
        changes["gateway_ip"] = str(gateway) if gateway else None
        if changes["gateway_ip"] != row.gateway_ip:
            _refuse_used_gateway(tx, row)
    if body.allocation_pools is not UNSET:
        given = body.allocation_pools
        pools = read_pools(network, given) if given else default_pools(network, gateway)
        changes["allocation_pools"] = stored_pools(pools, row.ip_version)
    if body.gateway_ip is not UNSET or body.allocation_pools is not UNSET:
        refuse_gateway_in_pools(pools, gateway)


def _refuse_used_gateway(tx: Transaction, row: Any) -> None:
    for leg in tx.all(_LEGS, {"network": row.network_id}):
        if any(item["ip_address"] == row.gateway_ip for item in leg.fixed_ips):
            raise conflict(
                "GatewayIpInUse",
                f"Current gateway ip {row.gateway_ip} already in use by a router. Unable to update.",
            )


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /subnets/{subnet_id}."""
    row = call.target
    resources.check_revision(call, row)
    for port in rows.ports_of(tx, row.id):
        follows = port.device_owner in owners.AUTO_DELETE or (
            numbers_itself(row) and port.device_owner not in owners.ROUTER
        )
        if not follows:
            raise conflict(
                "SubnetInUse",
                f"Unable to complete operation on subnet {row.id}: One or more ports have an IP allocation from this "
                f"subnet ({port.id}).",
            )
    rows.detach(tx, call.runtime, row.network_id, row.id)
    rows.remove(tx, call.runtime, row.id, row.project_id)
    marks.routers_of(tx, row.network_id)
