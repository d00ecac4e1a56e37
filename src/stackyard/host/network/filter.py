"""The fabric's filter: what may leave and reach a port, as text for nftables. Pure; nothing here touches the kernel.

Two tables. `inet stackyard` sees bridged packets through br_netfilter and gives every bridge a conntrack zone of its
own, then writes the connection's state into the packet's mark, because the bridge family cannot read connection state
on every kernel. `bridge stackyard` knows the port a packet comes from and goes to: it stops spoofing in prerouting, and
in forward runs first the sender's egress rules, then the receiver's ingress rules. Established connections pass by
their mark. A port that no map knows, and that is not in the set of ports without port security, is closed both ways.
What the port's quality of service asks in packets (rates, DSCP marks) is done here as well, also for established ones.
Bits of the mark: 1 established or related, 2 invalid, 4 the sender's rules let it pass, 8 its way may be remembered;
above these eight is the number of the device it came by, where there is the fast path (fast_path.py).

What an established packet passes decides the throughput, so it is little: one chain at each hook, and of the forward
chain one rule, while no port of the host is stateless or has a packet rate (see statefulness.py). With the fast path
most do not come here at all; without it that rule takes the mark away again, as fast_path's chains do: the kernel looks
up the route of every marked packet that a tunnel sends, and remembers the others'.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from stackyard.host.network import checks, names
from stackyard.host.network.fast_path import REMEMBER
from stackyard.host.network.nft import Chain, Listing
from stackyard.host.specs import PacketRateLimit, PortSpec

TABLE = "bridge stackyard"
TRACKING = "inet stackyard"

_UNKNOWN_FROM, _UNKNOWN_TO = (f'{side} "syp*" {side} != @free drop' for side in ("iifname", "oifname"))


def _hook(name: str, priority: int) -> str:
    return f"{{ type filter hook {name} priority {priority}; policy accept; }}"


_ND = "130, 131, 132, 133, 135, 136, 143"
"""ICMPv6 types of neighbour and listener discovery and router solicitation, without which IPv6 does not work."""

_HIDING = "0, 43, 44, 51, 60, 135, 139, 140"
"""IPv6 headers that, in a fragment, would move what comes after them out of the sight of rules."""

MAY_SEND = "meta mark set meta mark | 4 return"
"""What an egress rule says of what it lets pass: the receiver's rules are still to come, in the same base chain."""

COMMON = (
    Chain(
        "any_spoof",
        (
            "ether type != { ip, ip6, arp } drop",
            "ether type ip udp sport 67 drop",
            "ether type ip6 udp sport 547 drop",
            "icmpv6 type { 134, 137 } drop",
            f"frag nexthdr {{ {_HIDING} }} drop",
            "frag nexthdr 58 icmpv6 type 133-137 drop",
            "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
            "ip6 saddr :: icmpv6 type { 131, 133, 143 } accept",
        ),
    ),
    Chain(
        "any_egress",
        (
            f"ether type arp {MAY_SEND}",
            "meta mark & 2 == 2 iifname != @stateless drop",
            "icmpv6 type { 134, 137 } drop",
            f"icmpv6 type {{ {_ND} }} {MAY_SEND}",
            f"ether type ip udp sport 68 udp dport 67 {MAY_SEND}",
            f"ether type ip6 udp sport 546 udp dport 547 {MAY_SEND}",
        ),
    ),
    Chain(
        "any_ingress",
        (
            "ether type arp accept",
            "meta mark & 2 == 2 oifname != @stateless drop",
            f"icmpv6 type {{ {_ND}, 134 }} accept",
            "ether type ip udp sport 67 udp dport 68 accept",
            "ether type ip6 udp sport 547 udp dport 546 accept",
        ),
    ),
)
"""What is so for every secured port. Once, and with it the sets in it: nft reads all sets of a namespace before each
transaction, so that sets in the chains of every port would make a single rule's change slow."""

BASE = (
    *COMMON,
    Chain("input", ("drop",), _hook("input", -200)),
    Chain("spoof", ("iifname vmap @spoof", _UNKNOWN_FROM), _hook("prerouting", -300)),
    Chain("leaving", ("oifname vmap @leaving",)),
    Chain("entering", ("iifname vmap @entering",)),
    Chain("limited", ("oifname vmap @rate",)),
    Chain("sent", ("meta mark & 1 == 1 iifname != @stateless return", "iifname vmap @egress", _UNKNOWN_FROM)),
    Chain(
        "forward",
        (
            "meta mark & 7 == 1 jump quick",
            "jump leaving",
            "jump entering",
            "jump limited",
            "jump sent",
            "meta mark & 1 == 1 oifname != @stateless accept",
            "oifname vmap @ingress",
            _UNKNOWN_TO,
        ),
        _hook("forward", -200),
    ),
)

SLOW = ("stateless", "rate")
"""The set and the map of ports whose established packets have more to pass than their mark."""


def quick(*, on: bool, remembered: bool = False) -> Chain:
    """How established packets pass: at once, or, while a port of the host is in one of SLOW, by the rules after it.

    `remembered`: there is the fast path, which may learn the way of those that pass at once.
    """
    rule = f"meta mark set meta mark | {REMEMBER} accept" if remembered else "meta mark set 0 accept"
    return Chain("quick", (rule,) * on)


def base_holds(filters: Listing, tracking: Listing, *, remembered: bool) -> bool:
    """Whether all that `base_text` writes is in force, and the quick way is as the ports there want it."""
    calm = not any(filters.elements.get(name) for name in SLOW)
    chains = (*BASE, quick(on=calm, remembered=remembered))
    return all(map(filters.holds, chains)) and all(map(tracking.holds, TRACKING_BASE))


_STATES = (
    "ct state established,related meta mark set meta mark | 1 accept",
    "ct state invalid meta mark set meta mark | 2",
)
TRACKING_BASE = (
    Chain("zone", ("ct zone set iifname map @zones",), _hook("prerouting", -300)),
    Chain("state", _STATES, _hook("prerouting", -150)),
)

_DISPATCH = (("spoof", "s_"), ("egress", "e_"), ("ingress", "i_"), ("rate", "r_"))
"""Maps that are asked by a port's device, and what the names of the ports' chains begin with."""


def base_text() -> str:
    """Tables, maps and base chains, the quick way closed; harmless to apply again."""
    lines = [f"add table {TABLE}\n", f"add table {TRACKING}\n"]
    maps = ("leaving", "entering", *(name for name, _ in _DISPATCH))
    lines += [f"add map {TABLE} {name} {{ type ifname : verdict; }}\n" for name in maps]
    lines += [f"add set {TABLE} {name} {{ type ifname; }}\n" for name in ("free", "stateless")]
    lines.append(f"add map {TRACKING} zones {{ typeof iifname : ct zone; }}\n")
    lines += [chain.text(TABLE) for chain in (quick(on=False), *BASE)]
    lines += [chain.text(TRACKING) for chain in TRACKING_BASE]
    return "".join(lines)


def group_chain(group_id: str, direction: str) -> str:
    """Chain with a security group's rules of one direction."""
    return f"g_{names.short(group_id)}_{direction[0]}"


def member_set(group_id: str, version: int) -> str:
    """Set with the addresses of a security group's members."""
    return f"m{version}_{names.short(group_id)}"


def link_local(mac: str) -> ipaddress.IPv6Address:
    """The link-local address that an interface with this MAC gives itself (EUI-64)."""
    digits = bytes.fromhex(mac.replace(":", ""))
    return ipaddress.IPv6Address(
        b"\xfe\x80" + bytes(6) + bytes([digits[0] ^ 2]) + digits[1:3] + b"\xff\xfe" + digits[3:6]
    )


def _sources(spec: PortSpec) -> dict[str, list[checks.IPNetwork]]:
    """What the port may send from, by MAC."""
    own = checks.mac(spec.mac)
    found: dict[str, list[checks.IPNetwork]] = {own: [checks.network(item.ip) for item in spec.addresses]}
    for pair in spec.allowed_pairs:
        found.setdefault(checks.mac(pair.mac) if pair.mac else own, []).append(checks.network(pair.ip))
    return found


def _collapsed4(items: Iterable[checks.IPNetwork]) -> list[ipaddress.IPv4Network]:
    return list(ipaddress.collapse_addresses(n for n in items if isinstance(n, ipaddress.IPv4Network)))


def _collapsed6(items: Iterable[checks.IPNetwork]) -> list[ipaddress.IPv6Network]:
    return list(ipaddress.collapse_addresses(n for n in items if isinstance(n, ipaddress.IPv6Network)))


def _targets(items: list[ipaddress.IPv6Network]) -> list[str]:
    """IPv6 networks as ranges of 128-bit numbers, for comparing the target of a neighbour advertisement."""
    ranges = []
    for item in items:
        first, last = int(item.network_address), int(item.broadcast_address)
        ranges.append(f"0x{first:032x}" if first == last else f"0x{first:032x}-0x{last:032x}")
    return ranges


_FEW = 4


def _each(items: Iterable[object]) -> list[str]:
    """Values for a rule each, or a set of many: comparing is cheaper than looking up, and needs no set."""
    texts = [str(item) for item in items]
    return texts if len(texts) <= _FEW else [f"{{ {', '.join(texts)} }}"]


def _none_of(what: str, items: Iterable[object]) -> str:
    """Compares with all of the values."""
    return " ".join(f"{what} != {item}" for item in items)


def _quick_rules(sources: dict[str, list[checks.IPNetwork]]) -> Iterable[str]:
    """Nearly all packets, by one rule each. A tag hides the type from `ether type`, so none passes here."""
    for mac, items in sources.items():
        for source in _each(_collapsed4(items)):
            start, end = f"ether saddr {mac} ether type ip", f"ip saddr {source} accept"
            yield f"{start} ip protocol != 17 {end}"
            yield f"{start} udp sport != 67 {end}"
        own6 = _collapsed6([*items, ipaddress.ip_network(link_local(mac))])
        for source in _each(own6):
            start, end = f"ether saddr {mac} ether type ip6", f"ip6 saddr {source} accept"
            yield f"{start} ip6 nexthdr 6 {end}"
            yield f"{start} ip6 nexthdr 17 udp sport != 547 {end}"


def spoof_rules(spec: PortSpec) -> tuple[str, ...]:
    """Only frames that say truly who sends them; no DHCP or router service from a tenant's port."""
    sources = _sources(spec)
    rules = [
        *_quick_rules(sources),
        f"{_none_of('ether saddr', sources)} drop",
        "jump any_spoof",
    ]
    for mac, items in sources.items():
        start = f"ether saddr {mac}"
        probes = _each(_collapsed4([*items, ipaddress.ip_network("0.0.0.0/32")]))
        rules += [f"{start} arp saddr ether {mac} arp saddr ip {probe} accept" for probe in probes]
        rules += [f"{start} ip saddr {source} accept" for source in _each(_collapsed4(items))]
        own6 = _collapsed6([*items, ipaddress.ip_network(link_local(mac))])
        targets = _targets(own6)
        rules += [f"{start} ip6 saddr :: icmpv6 type 135 @th,64,128 {one} accept" for one in _each(targets)]
        rules.append(f"{start} icmpv6 type 136 {_none_of('@th,64,128', targets)} drop")
        rules += [f"{start} ip6 saddr {source} accept" for source in _each(own6)]
    return (*rules, "drop")


def _limit_rules(spec: PortSpec, direction: str) -> tuple[str, ...]:
    """Drops what comes faster than the port's packet rate. A segment not yet cut into packets counts as one."""
    found = [item for item in spec.qos.packet_rate if item.direction == direction] if spec.qos else []
    return tuple(f"limit rate over {item.max_kpps * 1000}/second burst {_packets(item)} packets drop" for item in found)


def is_rated(spec: PortSpec) -> bool:
    """Whether there is a limit to the packets that the port receives."""
    return bool(_limit_rules(spec, "ingress"))


def _packets(item: PacketRateLimit) -> int:
    """The burst of a limit: as asked, or what fits (a twentieth of a second)."""
    return min(item.max_burst_kpps * 1000 or item.max_kpps * 50, 2**32 - 1)


def _mark_rules(spec: PortSpec) -> tuple[str, ...]:
    """Writes the DSCP mark into what the port sends."""
    if spec.qos is None or spec.qos.dscp is None:
        return ()
    return f"ip dscp set {spec.qos.dscp}", f"ip6 dscp set {spec.qos.dscp}"


def _egress_rules(spec: PortSpec) -> tuple[str, ...]:
    return (
        "jump any_egress",
        *(f"jump {group_chain(group, 'egress')}" for group in spec.security_groups),
        "meta mark & 4 == 0 drop",
    )


def _ingress_rules(spec: PortSpec) -> tuple[str, ...]:
    return (
        "jump any_ingress",
        *(f"jump {group_chain(group, 'ingress')}" for group in spec.security_groups),
        "drop",
    )


def port_chains(spec: PortSpec) -> tuple[Chain, ...]:
    """The chains of a port: those of its port security, and those that its quality of service needs."""
    key = names.short(spec.id)
    sent, received = (*_limit_rules(spec, "egress"), *_mark_rules(spec)), _limit_rules(spec, "ingress")
    found = []
    if spec.port_security:
        found.append(Chain(f"s_{key}", (*sent, *spoof_rules(spec))))
        found.append(Chain(f"e_{key}", _egress_rules(spec)))
        found.append(Chain(f"i_{key}", _ingress_rules(spec)))
    elif sent:
        found.append(Chain(f"s_{key}", sent))
    if received:
        found.append(Chain(f"r_{key}", received))
    return tuple(found)


def _element(verb: str, port_id: str, name: str, prefix: str) -> str:
    return f'{verb} element {TABLE} {name} {{ "{names.port(port_id)}" : goto {prefix}{names.short(port_id)} }}\n'


def port_text(spec: PortSpec) -> str:
    """Put a port's filter in force; a port without port security has none."""
    groups = "".join(
        f"add chain {TABLE} {group_chain(group, direction)}\n"
        for group in spec.security_groups
        for direction in ("egress", "ingress")
    )
    chains = {chain.name[:2]: chain for chain in port_chains(spec)}
    texts = []
    for name, prefix in _DISPATCH:
        chain = chains.get(prefix)
        if chain is None:
            texts.append(_without(spec.id, name, prefix))
        else:
            texts.append(chain.text(TABLE) + _element("add", spec.id, name, prefix))
    return groups + "".join(texts) + _free_text(spec.id, free=not spec.port_security)


def remove_port_text(port_id: str) -> str:
    """Take a port's filter away, whether it is there or not."""
    return "".join(_without(port_id, name, prefix) for name, prefix in _DISPATCH) + _free_text(port_id, free=False)


def _without(port_id: str, name: str, prefix: str) -> str:
    """Delete a port's chain and its place in the map: adding first makes deleting always possible."""
    chain = f"chain {TABLE} {prefix}{names.short(port_id)}\n"
    elements = _element("add", port_id, name, prefix) + _element("delete", port_id, name, prefix)
    return f"add {chain}{elements}flush {chain}delete {chain}"


def _free_text(port_id: str, *, free: bool) -> str:
    element = f'element {TABLE} free {{ "{names.port(port_id)}" }}\n'
    return f"add {element}" if free else f"add {element}delete {element}"


def port_is_whole(filters: Listing, spec: PortSpec) -> bool:
    """Whether the port's filter is in force, unchanged."""
    device = names.port(spec.id)
    chains = {chain.name[:2]: chain for chain in port_chains(spec)}
    return filters.has("free", device) != spec.port_security and all(
        filters.has(name, device) and filters.holds(chains[prefix])
        if prefix in chains
        else not filters.has(name, device)
        for name, prefix in _DISPATCH
    )
