"""A router's routes: its default route by one or several gateways, static routes, and which connection goes by which.

With several gateways each has a routing table with its own default route. What has a gateway's mark or address takes
that one; everything else the main table, where the first gateway has the default route, or all of them share it.
Functions take the rtnetlink socket of the namespace, and run in a thread that is in it.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network import checks, names, netns, router_rules
from stackyard.host.network.layer3 import ignoring
from stackyard.host.network.names import ROUTE_PROTOCOL
from stackyard.host.network.neighbours import neighbours
from stackyard.host.specs import RouterGateway, RouterSpec

_METRIC = 100
_MAIN_TABLE = 254
_FIRST_TABLE = 1000
_MARK_MASK = 0xFF00
_CONNECTED, _BY_MARK, _BY_ADDRESS = 100, 200, 300
"""Priorities of routing rules: what is connected, before what a mark, before what an address says."""
_EEXIST, _ESRCH, _ENOENT = 17, 3, 2
_NONE = {4: "0.0.0.0", 6: "::"}  # noqa: S104  the destination of default routes, listened on by nobody
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, order=True)
class Way:
    """A route by one or more next hops, each with its device's name."""

    table: int
    destination: str
    hops: tuple[tuple[str, str], ...]

    @property
    def version(self) -> int:
        """Its IP version."""
        return checks.network(self.destination).version


@dataclass(frozen=True, order=True)
class Choice:
    """A routing rule: packets with the mark, or from the address, look in the table; 0 and "" are any."""

    priority: int
    version: int
    table: int
    mark: int = 0
    source: str = ""


def _default(version: int) -> str:
    return f"{_NONE[version]}/0"


def _hop(gateway: RouterGateway, version: int) -> tuple[str, str] | None:
    found = (str(item) for item in map(checks.address, gateway.next_hops) if item.version == version)
    hop = next(found, None)
    return (hop, names.inner_gateway(gateway.port_id)) if hop else None


def device_towards(spec: RouterSpec, address: str) -> str | None:
    """The device on whose subnets an address is."""
    wanted = checks.address(address)
    legs = [(names.inner_leg(item.port_id), item.addresses) for item in spec.interfaces]
    legs += [(names.inner_gateway(item.port_id), item.addresses) for item in spec.gateways]
    for device, addresses in legs:
        if any(wanted in checks.network(f"{item.ip}/{item.prefix_length}") for item in addresses):
            return device
    return None


def ways(spec: RouterSpec) -> frozenset[Way]:
    """All routes. Raises HostError for a static route whose next hop is on no subnet of the router."""
    found = set()
    for version in (4, 6):
        hops = [hop for gateway in spec.gateways if (hop := _hop(gateway, version))]
        if hops:
            shared = tuple(sorted(hops)) if spec.ecmp else (hops[0],)
            found.add(Way(_MAIN_TABLE, _default(version), shared))
        if len(spec.gateways) > 1:
            for number, gateway in enumerate(spec.gateways):
                if hop := _hop(gateway, version):
                    found.add(Way(_FIRST_TABLE + number, _default(version), (hop,)))
    static: dict[str, list[tuple[str, str]]] = {}
    for route in spec.routes:
        device = device_towards(spec, route.next_hop)
        if device is None:
            raise HostError(f"the route to {route.destination} by {route.next_hop}: the router has no leg there")
        static.setdefault(str(checks.network(route.destination)), []).append(
            (str(checks.address(route.next_hop)), device)
        )
    defaults = {way.destination for way in found if way.table == _MAIN_TABLE}
    for destination, hops in static.items():
        if destination not in defaults:
            found.add(Way(_MAIN_TABLE, destination, tuple(sorted(set(hops)))))
    return frozenset(found)


def choices(spec: RouterSpec) -> frozenset[Choice]:
    """All routing rules; none with one gateway."""
    if len(spec.gateways) < 2:
        return frozenset()
    found = {Choice(_CONNECTED, version, _MAIN_TABLE) for version in (4, 6)}
    for number, gateway in enumerate(spec.gateways):
        table = _FIRST_TABLE + number
        found |= {Choice(_BY_MARK, version, table, mark=router_rules.mark_of(number)) for version in (4, 6)}
        for item in map(checks.address, (address.ip for address in gateway.addresses)):
            found.add(Choice(_BY_ADDRESS, item.version, table, source=str(item)))
    return frozenset(found)


def sync(ip: Any, spec: RouterSpec, before: RouterSpec | None, *, fresh: bool) -> None:
    """Make our routes and rules be these; `fresh` says that there are none yet."""
    target, rules = ways(spec) if spec.admin_up else frozenset(), choices(spec)
    present: dict[Way, Any] = {} if fresh else present_ways(ip)
    for way in sorted(present.keys() - target):
        options = {"dst": way.destination, "table": way.table, "family": _FAMILY[way.version]}
        ignoring((_ESRCH, _ENOENT), ip.route, "del", priority=_METRIC, proto=ROUTE_PROTOCOL, **options)
    for way in sorted(target - present.keys()):
        _add(ip, spec, way)
    if not rules and (fresh or (before is not None and len(before.gateways) < 2)):
        return
    known = present_choices(ip)
    for choice in sorted(known - rules):
        ignoring((_ESRCH, _ENOENT), ip.rule, "del", **_rule_options(choice))
    for choice in sorted(rules - known):
        ignoring((_EEXIST,), ip.rule, "add", **_rule_options(choice))


def _add(ip: Any, spec: RouterSpec, way: Way) -> None:
    options: dict[str, Any] = {"dst": way.destination, "table": way.table, "family": _FAMILY[way.version]}
    hops = []
    for next_hop, device in way.hops:
        hop: dict[str, Any] = {"gateway": next_hop, "oif": socket.if_nametoindex(device)}
        if device_towards(spec, next_hop) != device:
            hop["flags"] = ["onlink"]  # a gateway may be outside the subnet that it serves
        hops.append(hop)
    options |= hops[0] if len(hops) == 1 else {"multipath": hops}
    try:
        ignoring((_EEXIST,), ip.route, "add", proto=ROUTE_PROTOCOL, priority=_METRIC, **options)
    except Exception as error:
        by = ", ".join(next_hop for next_hop, _ in way.hops)
        raise HostError(f"the route to {way.destination} by {by} cannot be added: {error}") from error


def present_ways(ip: Any) -> dict[Way, Any]:
    """Our routes as the kernel has them."""
    found = {}
    device_of: dict[int, str] = {}

    def device(index: int) -> str:
        if index not in device_of:
            device_of[index] = socket.if_indextoname(index)
        return device_of[index]

    for version, family in _FAMILY.items():
        for message in ip.get_routes(family=family):
            if message["proto"] != ROUTE_PROTOCOL:
                continue
            several = message.get_attr("RTA_MULTIPATH") or ()
            pairs = [(item.get_attr("RTA_GATEWAY"), item["oif"]) for item in several]
            pairs = pairs or [(message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_OIF"))]
            hops = tuple(sorted((str(hop), device(index)) for hop, index in pairs if hop))
            destination = f"{message.get_attr('RTA_DST') or _NONE[version]}/{message['dst_len']}"
            found[Way(message.get_attr("RTA_TABLE"), destination, hops)] = message
    return found


def present_choices(ip: Any) -> frozenset[Choice]:
    """Our routing rules as the kernel has them."""
    found = set()
    for version, family in _FAMILY.items():
        for message in ip.get_rules(family=family):
            if message.get_attr("FRA_PROTOCOL") != ROUTE_PROTOCOL:
                continue
            numbers = (message.get_attr(name) or 0 for name in ("FRA_PRIORITY", "FRA_TABLE", "FRA_FWMARK"))
            priority, table, mark = numbers
            found.add(Choice(priority, version, table, mark, message.get_attr("FRA_SRC") or ""))
    return frozenset(found)


def _rule_options(choice: Choice) -> dict[str, Any]:
    options: dict[str, Any] = {"family": _FAMILY[choice.version], "priority": choice.priority, "table": choice.table}
    options["FRA_PROTOCOL"] = ROUTE_PROTOCOL
    if choice.priority == _CONNECTED:
        options["FRA_SUPPRESS_PREFIXLEN"] = 0  # everything but default routes
    if choice.mark:
        options |= {"fwmark": choice.mark, "fwmask": _MARK_MASK}
    if choice.source:
        options |= {"src": choice.source, "src_len": ipaddress.ip_address(choice.source).max_prefixlen}
    return options


def problem(ip: Any, spec: RouterSpec) -> str | None:
    """What is wrong with the routes of a router that this process has applied."""
    missing = ways(spec) - present_ways(ip).keys() if spec.admin_up else frozenset()
    if missing:
        return f"its route to {min(missing).destination} is gone"
    if len(spec.gateways) > 1 and not choices(spec) <= present_choices(ip):
        return "a routing rule is gone"
    if spec.proxied and not wanted_proxies(spec) <= present_proxies(spec):
        return "it answers neighbour discovery for a proxied address no longer"
    return None


# ---------------------------------------------------------------------------------------------------- proxied


def wanted_proxies(spec: RouterSpec) -> frozenset[tuple[str, str]]:
    """For which addresses neighbour discovery is answered on which device."""
    devices = [names.inner_gateway(gateway.port_id) for gateway in spec.gateways]
    return frozenset((device, str(checks.address(text))) for device in devices for text in spec.proxied)


def present_proxies(spec: RouterSpec) -> frozenset[tuple[str, str]]:
    """The same as the kernel has it, for the router's gateways."""
    devices = {names.inner_gateway(gateway.port_id) for gateway in spec.gateways}
    found = ((socket.if_indextoname(item.index), item.address) for item in neighbours(proxied=True))
    return frozenset(pair for pair in found if pair[0] in devices)


def sync_proxies(ip: Any, spec: RouterSpec, before: RouterSpec | None, *, fresh: bool) -> None:
    """Answer neighbour discovery for the proxied addresses on every gateway, and no longer for others."""
    if not spec.proxied and (fresh or (before is not None and not before.proxied)):
        return
    target, known = wanted_proxies(spec), present_proxies(spec)
    for gateway in spec.gateways:
        netns.write_sysctl(f"ipv6/conf/{names.inner_gateway(gateway.port_id)}/proxy_ndp", int(bool(spec.proxied)))
    for verb, items, tolerated in (("del", known - target, (_ENOENT,)), ("add", target - known, (_EEXIST,))):
        for device, address in sorted(items):
            options = {"dst": address, "ifindex": socket.if_nametoindex(device), "family": socket.AF_INET6}
            ignoring(tolerated, ip.neigh, verb, flags=8, **options)
