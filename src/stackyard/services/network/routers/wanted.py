"""What a host is to make of a router, read from the database and put into a spec; `build` is pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.host.specs import (
    ConntrackHelper,
    FloatingIPSpec,
    MeteringLabel,
    PortForwarding,
    Qos,
    RouterGateway,
    RouterInterface,
    RouterSpec,
)
from stackyard.services.network import specs
from stackyard.services.network.metering import wanted as metering
from stackyard.services.network.qos import api as qos
from stackyard.services.network.routers import gateways
from stackyard.services.network.tables import (
    floating_ips,
    ndp_proxies,
    networks,
    port_forwardings,
    ports,
    router_ports,
    subnetpools,
    subnets,
)

_PORTS = sa.select(ports).where(ports.c.id.in_(bindparam("ids", expanding=True)))
_LEGS = (
    sa.select(ports)
    .join(router_ports, router_ports.c.port_id == ports.c.id)
    .where(router_ports.c.router_id == bindparam("id"))
    .order_by(ports.c.id)
)
_SUBNETS = sa.select(subnets).where(subnets.c.network_id.in_(bindparam("networks", expanding=True)))
_FLOATING = (
    sa.select(floating_ips, networks.c.qos_policy_id.label("network_policy_id"))
    .join(networks, networks.c.id == floating_ips.c.floating_network_id)
    .where(floating_ips.c.router_id == bindparam("id"), floating_ips.c.fixed_ip_address.is_not(None))
    .order_by(floating_ips.c.id)
)
_FORWARDED = (
    sa.select(port_forwardings, floating_ips.c.floating_ip_address)
    .join(floating_ips, floating_ips.c.id == port_forwardings.c.floatingip_id)
    .where(floating_ips.c.router_id == bindparam("id"))
    .order_by(port_forwardings.c.id)
)
_PROXIED = (
    sa.select(ndp_proxies.c.ip_address).where(ndp_proxies.c.router_id == bindparam("id")).order_by(ndp_proxies.c.id)
)
_SCOPES = (
    sa.select(subnets.c.id, subnetpools.c.address_scope_id)
    .join(subnetpools, subnetpools.c.id == subnets.c.subnetpool_id)
    .where(subnets.c.network_id.in_(bindparam("networks", expanding=True)), subnetpools.c.address_scope_id.is_not(None))
)
_POLICY_OF_NETWORK = sa.select(networks.c.qos_policy_id).where(networks.c.id == bindparam("id"))


@dataclass(slots=True, kw_only=True)
class Found:
    """A router's row and the rows around it.

    `policies` by the id of what they limit (gateway port, floating IP), address scopes by that of a subnet.
    """

    router: Any
    ports: Mapping[str, Any]
    legs: Sequence[Any] = ()
    subnets: Sequence[Any] = ()
    floating: Sequence[Any] = ()
    forwarded: Sequence[Any] = ()
    proxied: Sequence[str] = ()
    metering: tuple[MeteringLabel, ...] = ()
    policies: Mapping[str, Qos | None]
    scopes: Mapping[str, str] = field(default_factory=dict)


def read(tx: Transaction, row: Any) -> RouterSpec:
    """A router with its legs, gateways, routes and translations."""
    outside = gateways.of(row)
    legs = tx.all(_LEGS, {"id": row.id})
    on = {leg.network_id for leg in legs} | {gateway.network_id for gateway in outside}
    floating = tx.all(_FLOATING, {"id": row.id}) if outside else []
    policies = {item.id: qos.of_policy(tx, item.qos_policy_id or item.network_policy_id) for item in floating}
    for gateway in outside:
        policy = gateway.qos_policy_id or tx.scalar(_POLICY_OF_NETWORK, {"id": gateway.network_id})
        policies[gateway.port_id] = qos.of_policy(tx, policy)
    ids = [gateway.port_id for gateway in outside]
    proxied = tx.all(_PROXIED, {"id": row.id}) if row.enable_ndp_proxy and outside else []
    return build(
        Found(
            router=row,
            ports={port.id: port for port in tx.all(_PORTS, {"ids": ids})} if ids else {},
            legs=legs,
            subnets=tx.all(_SUBNETS, {"networks": sorted(on)}) if on else [],
            floating=floating,
            forwarded=tx.all(_FORWARDED, {"id": row.id}) if outside else [],
            proxied=[item.ip_address for item in proxied],
            metering=metering.labels_of(tx, row.project_id),
            policies=policies,
            scopes={item.id: item.address_scope_id for item in tx.all(_SCOPES, {"networks": sorted(on)})}
            if outside
            else {},
        )
    )


def build(found: Found) -> RouterSpec:
    """From rows to a spec."""
    row, by_id = found.router, {subnet.id: subnet for subnet in found.subnets}
    outside = [gateway for gateway in gateways.of(row) if gateway.port_id in found.ports]
    return RouterSpec(
        id=row.id,
        admin_up=row.admin_state_up,
        interfaces=tuple(_leg(port, by_id) for port in found.legs),
        gateways=tuple(_gateway(gateway, found, by_id) for gateway in outside),
        ecmp=row.enable_default_route_ecmp,
        floating_ips=tuple(_floating(item, found.policies.get(item.id)) for item in found.floating if outside),
        port_forwardings=tuple(_forwarding(item) for item in found.forwarded if outside),
        routes=specs.routes(row.routes),
        conntrack_helpers=tuple(
            ConntrackHelper(helper=item["helper"], protocol=item["protocol"], port=item["port"])
            for item in row.conntrack_helpers
        ),
        proxied=tuple(found.proxied),
        metering=found.metering,
    )


def _leg(port: Any, by_id: Mapping[str, Any]) -> RouterInterface:
    used = dict.fromkeys(item["subnet_id"] for item in port.fixed_ips if item["subnet_id"] in by_id)
    return RouterInterface(
        port_id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        addresses=specs.addresses(port.fixed_ips, by_id),
        subnets=tuple(specs.subnet_spec(by_id[subnet_id]) for subnet_id in used),
    )


def _gateway(gateway: gateways.Gateway, found: Found, by_id: Mapping[str, Any]) -> RouterGateway:
    port = found.ports[gateway.port_id]
    hops = dict.fromkeys(by_id[item["subnet_id"]].gateway_ip for item in port.fixed_ips if item["subnet_id"] in by_id)
    return RouterGateway(
        port_id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        addresses=specs.addresses(port.fixed_ips, by_id),
        next_hops=tuple(hop for hop in hops if hop),
        snat=gateway.enable_snat,
        routed=_routed(port, found, by_id),
        qos=found.policies.get(gateway.port_id),
    )


def _routed(port: Any, found: Found, by_id: Mapping[str, Any]) -> tuple[str, ...]:
    """The tenants' subnets that are in an address scope of a gateway's own."""
    own = {found.scopes[item["subnet_id"]] for item in port.fixed_ips if item["subnet_id"] in found.scopes}
    inside = {item["subnet_id"] for leg in found.legs for item in leg.fixed_ips if item["subnet_id"] in by_id}
    return tuple(by_id[key].cidr for key in sorted(inside) if found.scopes.get(key) in own)


def _floating(row: Any, limits: Qos | None) -> FloatingIPSpec:
    return FloatingIPSpec(id=row.id, floating_ip=row.floating_ip_address, fixed_ip=row.fixed_ip_address, qos=limits)


def _forwarding(row: Any) -> PortForwarding:
    return PortForwarding(
        id=row.id,
        floating_ip=row.floating_ip_address,
        protocol=row.protocol,
        external_ports=(row.external_port_start, row.external_port_end),
        fixed_ip=row.internal_ip_address,
        internal_ports=(row.internal_port_start, row.internal_port_end),
    )
