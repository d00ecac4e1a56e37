"""Writing routers: their row and what hangs on it, for the API and for a new cloud."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.addresses import IPNetwork
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.networks.bodies import read_zones
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.resources import either, flag
from stackyard.services.network.routers import gateways
from stackyard.services.network.routers.bodies import GatewayInfo, NewRouter, read_flags
from stackyard.services.network.tables import conntrack_helpers, ports, router_ports, routers, subnets

_INSERT = sa.insert(routers)
_ROW = sa.select(routers).where(routers.c.id == bindparam("id"))
_DELETE = sa.delete(routers).where(routers.c.id == bindparam("id"))
_DROP_HELPERS = sa.delete(conntrack_helpers).where(conntrack_helpers.c.router_id == bindparam("id"))
_LEGS = (
    sa.select(ports)
    .join(router_ports, router_ports.c.port_id == ports.c.id)
    .where(router_ports.c.router_id == bindparam("id"))
    .order_by(ports.c.created_at)
)
_SUBNETS = sa.select(subnets).where(subnets.c.id.in_(bindparam("ids", expanding=True)))


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
    outside = [port_rows.read(tx, gateway.port_id) for gateway in gateways.of(row)]
    found = [*legs(tx, row.id), *outside]
    own = frozenset(item["ip_address"] for port in found for item in port.fixed_ips)
    return [ipaddress.ip_network(subnet.cidr) for subnet in subnets_of(tx, found)], own


def insert(tx: Transaction, runtime: Runtime, project_id: str, body: NewRouter, network: Any) -> str:
    """Write a router and return its id; `network` is the row of the external one that it leads to, or None."""
    resources.reserve(tx, runtime, project_id, "router")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    row |= {
        "tags": resources.read_tags(either(body.tags, [])),
        "admin_state_up": flag("admin_state_up", body.admin_state_up, default=True),
        "status": "ACTIVE",
        "status_reason": "",
        "gateway_port_id": None,
        "gateway_network_id": None,
        "gateway_ips": [],
        "gateway_qos_policy_id": None,
        "extra_gateways": [],
        "enable_snat": True,
        "enable_ndp_proxy": False,
        "enable_default_route_ecmp": False,
        "conntrack_helpers": [],
        "routes": [],
        "host": runtime[keys.HOST_NAME],
        "ha": False,
        "distributed": False,
        "availability_zone_hints": read_zones(body.availability_zone_hints, runtime),
        "flavor_id": either(body.flavor_id, None),
    } | read_flags(body, "ha", "distributed", "enable_default_route_ecmp")
    tx.execute(_INSERT, row)
    resources.store_tags(tx, [row])
    timeline.record(tx, marks.ROUTER, row["id"], "create asked")
    if network is not None and isinstance(body.external_gateway_info, GatewayInfo):
        gateways.set_first(tx, runtime, seen.Found(row), network, body.external_gateway_info)
    marks.router(tx, row["id"])
    return str(row["id"])


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a router that is on no tenant network any more; raises RouterInUse."""
    if legs(tx, row.id):
        raise conflict("RouterInUse", f"Router {row.id} still has ports")
    gateways.replace(tx, runtime, row, [])
    tx.execute(_DROP_HELPERS, {"id": row.id})
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, runtime, row.project_id, "router")
    timeline.record(tx, marks.ROUTER, row.id, "delete asked")
    marks.router(tx, row.id)
