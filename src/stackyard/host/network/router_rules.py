"""Translation in a router, as nftables text. Pure.

Floating IPs are elements of two maps, so that giving and taking one changes a map and no rule; forwarded ports are
rules. A connection that comes from inside to a public address of the same router goes back inside (hairpin); it is
marked on its way in, so that its source is translated too and the answer comes back through the router.

Marks: bit 0 says that the packet comes from inside. With several gateways the second byte is the number of the one that
the connection belongs to: it came in by it, or its sender's floating IP is there; `ways` routes by that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from stackyard.host.network import checks, names, router_limits
from stackyard.host.network import conntrack_helpers as helpers
from stackyard.host.network.metadata import METADATA4
from stackyard.host.network.nft import Chain
from stackyard.host.specs import PortForwarding, RouterGateway, RouterSpec

TABLE = "inet stackyard"
INWARD, OUTWARD, WAYS, PROXIED = "floating_in", "floating_out", "ways", "proxied"

_COLLECTIONS = {
    INWARD: "map {} {{ type ipv4_addr : ipv4_addr; }}",
    OUTWARD: "map {} {{ type ipv4_addr : ipv4_addr; }}",
    WAYS: "map {} {{ type ipv4_addr : mark; }}",
    PROXIED: "set {} {{ type ipv6_addr; }}",
}
_HOOKS = {
    "from_inside": "{ type filter hook prerouting priority -150; policy accept; }",
    "guard": "{ type filter hook forward priority 0; policy accept; }",
    "to_router": "{ type filter hook input priority 0; policy accept; }",
    "inward": "{ type nat hook prerouting priority -100; policy accept; }",
    "outward": "{ type nat hook postrouting priority 100; policy accept; }",
}


def mark_of(number: int) -> int:
    """The mark of what belongs to the gateway with that number, counted from 0."""
    return (number + 1) << 8


def first_address(gateway: RouterGateway, version: int) -> str | None:
    """The gateway's first address of that IP version."""
    found = (checks.address(item.ip) for item in gateway.addresses)
    return next((str(item) for item in found if item.version == version), None)


def gateway_of(spec: RouterSpec, address: str) -> int:
    """Number of the gateway whose network holds a public address; the first when none says so."""
    wanted = ipaddress.ip_address(address)
    for number, gateway in enumerate(spec.gateways):
        if any(wanted in checks.network(f"{item.ip}/{item.prefix_length}") for item in gateway.addresses):
            return number
    return 0


@dataclass(frozen=True)
class Ruleset:
    """Everything in a router's table: chains, elements of maps and sets (key to value), and named objects."""

    chains: tuple[Chain, ...]
    elements: dict[str, dict[str, str]]
    objects: dict[str, str]


def ruleset(spec: RouterSpec) -> Ruleset:
    """The table as it shall be."""
    limits, counters = router_limits.chains(spec), router_limits.counters(spec)
    elements: dict[str, dict[str, str]] = {name: {} for name in _COLLECTIONS}
    for item in spec.floating_ips:
        floating, fixed = str(ipaddress.ip_address(item.floating_ip)), str(ipaddress.ip_address(item.fixed_ip))
        elements[INWARD][floating], elements[OUTWARD][fixed] = fixed, floating
        if len(spec.gateways) > 1:
            elements[WAYS][fixed] = f"{mark_of(gateway_of(spec, floating)):#x}"
    elements[PROXIED] = {str(checks.address(text)): "" for text in spec.proxied}
    objects = helpers.objects(spec.conntrack_helpers) | {name: f"counter {{table}} {name}" for name in counters}
    return Ruleset((*chains(spec), *helpers.chains(spec.conntrack_helpers), *limits), elements, objects)


def chains(spec: RouterSpec) -> tuple[Chain, ...]:
    """The chains that every router has; without a gateway nothing is translated."""
    rules: dict[str, list[str]] = {name: [] for name in _HOOKS}
    inside = ""
    if spec.gateways:
        inside = f"iifname != {{ {', '.join(map(_device, spec.gateways))} }} "
        rules["from_inside"] = [*_ways(spec, inside), f"{inside}meta mark set meta mark | 1"]
        rules["inward"] = [f"dnat ip to ip daddr map @{INWARD}", *map(forwarding_rule, spec.port_forwardings)]
        rules["outward"] = list(_outward(spec))
        rules["guard"] = [rule for gateway in spec.gateways if gateway.snat for rule in _guard(spec, gateway)]
    rules["to_router"] = [
        "meta l4proto { 1, 58 } accept",
        "ct state established,related accept",
        f"{inside}ip daddr {METADATA4} tcp dport 80 accept",
        "drop",
    ]
    return tuple(Chain(name, tuple(rules[name]), hook) for name, hook in _HOOKS.items())


def _device(gateway: RouterGateway) -> str:
    return f'"{names.inner_gateway(gateway.port_id)}"'


def _ways(spec: RouterSpec, inside: str) -> Iterator[str]:
    """With several gateways, a connection keeps to the one that it came in by or that its floating IP is on."""
    if len(spec.gateways) < 2:
        return
    for number, gateway in enumerate(spec.gateways):
        yield f"iifname {_device(gateway)} ct state new ct mark set {mark_of(number):#x}"
    yield f"{inside}ct state new ct mark set ip saddr map @{WAYS}"
    yield f"{inside}ct mark != 0 meta mark set ct mark"


def _guard(spec: RouterSpec, gateway: RouterGateway) -> Iterator[str]:
    """What is hidden outwards must not be reachable inwards by whoever learns its private address."""
    if spec.proxied:
        yield f"iifname {_device(gateway)} ip6 daddr @{PROXIED} accept"
    for family, cidrs in _routed(gateway):
        yield f"iifname {_device(gateway)} {family} daddr {cidrs} accept"
    yield f"iifname {_device(gateway)} ct state new ct status & dnat != dnat drop"


def _routed(gateway: RouterGateway) -> Iterator[tuple[str, str]]:
    """The tenants that are not hidden behind a gateway, as sets by nftables' name of the family."""
    found = [checks.network(text) for text in gateway.routed]
    for family, version in (("ip", 4), ("ip6", 6)):
        cidrs = ", ".join(str(item) for item in found if item.version == version)
        if cidrs:
            yield family, f"{{ {cidrs} }}"


def _outward(spec: RouterSpec) -> Iterator[str]:
    inside = "meta mark & 1 == 1"
    for number, gateway in enumerate(spec.gateways):
        device, first4 = f"oifname {_device(gateway)}", first_address(gateway, 4)
        if len(spec.gateways) > 1 and gateway.snat and first4:
            # A floating IP of another gateway means nothing on this one's network.
            other = f"ct mark != 0 ct mark != {mark_of(number):#x}"
            yield f"{inside} {device} {other} meta nfproto ipv4 snat ip to {first4}"
        yield f"{device} snat ip to ip saddr map @{OUTWARD}"
    yield f"{inside} ct status dnat snat ip to ip saddr map @{OUTWARD}"
    for gateway in spec.gateways:
        for family, cidrs in _routed(gateway) if gateway.snat else ():
            yield f"oifname {_device(gateway)} {family} saddr {cidrs} accept"
    shown6 = f"ip6 saddr != @{PROXIED} " if spec.proxied else ""
    for gateway in spec.gateways:
        device, first4, first6 = _device(gateway), first_address(gateway, 4), first_address(gateway, 6)
        if gateway.snat and first4:
            yield f"{inside} oifname {device} meta nfproto ipv4 snat ip to {first4}"
        if gateway.snat and first6:
            yield f"{inside} oifname {device} {shown6}meta nfproto ipv6 snat ip6 to {first6}"
    hairpin = next(filter(None, (first_address(gateway, 4) for gateway in spec.gateways)), None)
    if hairpin:
        yield f"{inside} ct status dnat meta nfproto ipv4 snat ip to {hairpin}"


def forwarding_rule(item: PortForwarding) -> str:
    """Translate the ports of one forwarding.

    nft has no way to shift a range, so that one of other numbers inside is written out port by port.
    """
    floating, fixed = ipaddress.ip_address(item.floating_ip), ipaddress.ip_address(item.fixed_ip)
    first, last = item.external_ports
    match = f"ip daddr {floating} {item.protocol} dport {first}" + (f"-{last}" if last > first else "")
    if item.internal_ports == item.external_ports:
        return f"{match} dnat ip to {fixed}"
    if item.internal_ports[0] == item.internal_ports[1]:
        return f"{match} dnat ip to {fixed}:{item.internal_ports[0]}"
    shift = item.internal_ports[0] - first
    pairs = ", ".join(f"{port} : {port + shift}" for port in range(first, last + 1))
    return f"{match} dnat ip to {fixed} : {item.protocol} dport map {{ {pairs} }}"


# ---------------------------------------------------------------------------------------------------- text


def _element_text(verb: str, name: str, items: dict[str, str]) -> str:
    if not items:
        return ""
    shown = ", ".join(f"{key} : {value}" if value and verb == "add" else key for key, value in sorted(items.items()))
    return f"{verb} element {TABLE} {name} {{ {shown} }}\n"


def _object_text(verb: str, definition: str) -> str:
    text = definition.format(table=TABLE)
    return f"{verb} {text if verb == 'add' else text.partition(' {')[0]}\n"


def full_text(spec: RouterSpec) -> str:
    """From anything to the spec; counters go on counting."""
    wanted = ruleset(spec)
    text = f"add table {TABLE}\nflush table {TABLE}\n"
    for name, form in _COLLECTIONS.items():
        what = form.format(f"{TABLE} {name}")
        text += f"add {what}\nflush {what.partition(' {')[0]}\n"
    text += "".join(_object_text("add", item) for item in wanted.objects.values())
    text += "".join(chain.declare(TABLE) for chain in wanted.chains)
    text += "".join(chain.text(TABLE) for chain in wanted.chains)
    return text + "".join(_element_text("add", name, items) for name, items in wanted.elements.items())


def change_text(spec: RouterSpec, before: RouterSpec) -> str:
    """From one spec to the next, when that is applied and whole."""
    new, old = ruleset(spec), ruleset(before)
    old_chains = {chain.name: chain for chain in old.chains}
    changed = [chain for chain in new.chains if old_chains.get(chain.name) != chain]
    gone = sorted(old_chains.keys() - {chain.name for chain in new.chains})
    text = ""
    for name in _COLLECTIONS:
        was, now = old.elements[name], new.elements[name]
        text += _element_text("delete", name, {key: was[key] for key in was if was[key] != now.get(key)})
        text += _element_text("add", name, {key: now[key] for key in now if was.get(key) != now[key]})
    text += "".join(_object_text("add", item) for name, item in new.objects.items() if name not in old.objects)
    text += "".join(chain.declare(TABLE) for chain in changed)
    text += "".join(chain.text(TABLE) for chain in changed)
    text += "".join(f"flush chain {TABLE} {name}\n" for name in gone)
    text += "".join(f"delete chain {TABLE} {name}\n" for name in gone)
    return text + "".join(_object_text("delete", item) for name, item in old.objects.items() if name not in new.objects)
