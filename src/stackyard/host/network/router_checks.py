"""What a router's spec must satisfy before anything is written to the kernel. Raises SpecError."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise
from pathlib import Path

from stackyard.host.errors import SpecError
from stackyard.host.network import checks, names
from stackyard.host.network import conntrack_helpers as helpers
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

_MOST_GATEWAYS = 64
_DIRECTIONS = ("ingress", "egress")
_FORWARDED = ("tcp", "udp", "sctp", "dccp")
_TRACKED_IF = {"sctp": "nf_conntrack_sctp_timeout_established", "dccp": "nf_conntrack_dccp_loose"}
"""Settings that the kernel shows when it tracks connections of the protocol."""


def check_router(spec: RouterSpec) -> None:
    """Whether the spec makes sense at all."""
    names.check_id(spec.id)
    legs: list[RouterInterface | RouterGateway] = [*spec.interfaces, *spec.gateways]
    for leg in legs:
        _check_leg(leg)
    if len(spec.gateways) > _MOST_GATEWAYS:
        raise SpecError(f"router {spec.id} has {len(spec.gateways)} gateways; {_MOST_GATEWAYS} is the most")
    for interface in spec.interfaces:
        for subnet in interface.subnets:
            checks.check_subnet(subnet)
    for gateway in spec.gateways:
        for text in gateway.next_hops:
            checks.address(text)
        _check_qos(gateway.qos)
    for route in spec.routes:
        checks.check_route(route)
    for text in spec.proxied:
        if checks.address(text).version != 6:
            raise SpecError(f"{text}: neighbour discovery is proxied for IPv6 addresses only")
    _check_floating(spec)
    _check_forwardings(spec)
    for item in spec.conntrack_helpers:
        _check_helper(item)
    _check_metering(spec.metering)


def _check_leg(leg: RouterInterface | RouterGateway) -> None:
    names.check_id(leg.port_id)
    names.check_id(leg.network_id)
    checks.mac(leg.mac)
    for item in leg.addresses:
        checks.check_address(item)


def _check_floating(spec: RouterSpec) -> None:
    public: tuple[FloatingIPSpec | PortForwarding, ...] = (*spec.floating_ips, *spec.port_forwardings)
    if public and not spec.gateways:
        raise SpecError(f"router {spec.id} has floating IPs but no gateway")
    for item in public:
        if checks.address(item.floating_ip).version != 4 or checks.address(item.fixed_ip).version != 4:
            raise SpecError(f"floating IP {item.floating_ip} for {item.fixed_ip}: both must be IPv4")
    for side in ("floating_ip", "fixed_ip"):
        seen = [getattr(item, side) for item in spec.floating_ips]
        if len(set(seen)) != len(seen):
            raise SpecError(f"router {spec.id}: an address is used by two floating IPs")
    for floating in spec.floating_ips:
        _check_qos(floating.qos)


def _check_forwardings(spec: RouterSpec) -> None:
    whole = {item.floating_ip for item in spec.floating_ips}
    for item in spec.port_forwardings:
        names.check_id(item.id)
        if item.floating_ip in whole:
            raise SpecError(f"floating IP {item.floating_ip} belongs to one address whole: no port can be forwarded")
        if item.protocol not in _FORWARDED:
            raise SpecError(f"ports of {item.protocol!r} cannot be forwarded: {', '.join(_FORWARDED)} can")
        for first, last in (item.external_ports, item.internal_ports):
            if not 1 <= first <= last <= 65535:
                raise SpecError(f"ports {first}-{last} are not a range between 1 and 65535")
        low, high = item.internal_ports
        if low != high and high - low != item.external_ports[1] - item.external_ports[0]:
            raise SpecError(f"forwarding {item.id}: the ranges outside and inside are not of one length")
    by_address: dict[tuple[str, str], list[PortForwarding]] = {}
    for item in spec.port_forwardings:
        by_address.setdefault((item.floating_ip, item.protocol), []).append(item)
    for items in by_address.values():
        _check_apart(items)


def _check_apart(items: list[PortForwarding]) -> None:
    items = sorted(items, key=lambda item: item.external_ports)
    for one, other in pairwise(items):
        if other.external_ports[0] <= one.external_ports[1]:
            raise SpecError(f"port {other.external_ports[0]} of {one.floating_ip} is forwarded twice")


def _check_helper(item: ConntrackHelper) -> None:
    if item.helper not in helpers.KNOWN or item.protocol not in ("tcp", "udp") or not 1 <= item.port <= 65535:
        raise SpecError(f"no connection tracking helper is {item.helper!r} on {item.protocol!r} port {item.port}")


def _check_metering(labels: Iterable[MeteringLabel]) -> None:
    seen = set()
    for label in labels:
        if names.check_id(label.id) in seen:
            raise SpecError(f"metering label {label.id} is there twice")
        seen.add(label.id)
        for rule in label.rules:
            if rule.direction not in _DIRECTIONS:
                raise SpecError(f"no metering rule has direction {rule.direction!r}")
            cidrs = [
                checks.network(text) for text in (rule.remote_cidr, rule.source_cidr, rule.destination_cidr) if text
            ]
            if any(one.version != other.version for one, other in combinations(cidrs, 2)):
                raise SpecError(f"metering label {label.id}: a rule mixes address families")


def _check_qos(qos: Qos | None) -> None:
    if qos is None:
        return
    for direction, rate, burst in (
        *((item.direction, item.max_kbps, item.max_burst_kbps) for item in qos.bandwidth),
        *((item.direction, item.max_kpps, item.max_burst_kpps) for item in qos.packet_rate),
    ):
        if direction not in _DIRECTIONS or not 1 <= rate <= 0x7FFFFFFF or not 0 <= burst <= 0x7FFFFFFF:
            raise SpecError(f"no limit is {rate} with bursts of {burst} for {direction!r}")
    if qos.dscp is not None and not 0 <= qos.dscp <= 63:
        raise SpecError(f"{qos.dscp} is not a DSCP between 0 and 63")


def require_kernel(spec: RouterSpec) -> None:
    """Raise SpecError for what this host's kernel cannot do."""
    helpers.require(spec.conntrack_helpers)
    for protocol in {item.protocol for item in spec.port_forwardings} & _TRACKED_IF.keys():
        if not Path("/proc/sys/net/netfilter", _TRACKED_IF[protocol]).exists():
            raise SpecError(f"the kernel of this host does not track {protocol}: its ports cannot be forwarded")
