"""Translation in a router, as nftables text. Pure.

Floating IPs are elements of two maps, so that giving and taking one changes a map and no rule. A connection that comes
from inside to a floating IP of the same router goes back inside (hairpin); it is marked on its way in, so that its
source is translated too and the answer comes back through the router.
"""

from __future__ import annotations

import ipaddress

from stackyard.host.network import checks, names
from stackyard.host.network.nft import Chain
from stackyard.host.specs import FloatingIPSpec, RouterGateway, RouterSpec

TABLE = "inet stackyard"
INWARD, OUTWARD = "floating_in", "floating_out"

_HOOKS = {
    "from_inside": "{ type filter hook prerouting priority -150; policy accept; }",
    "guard": "{ type filter hook forward priority 0; policy accept; }",
    "to_router": "{ type filter hook input priority 0; policy accept; }",
    "inward": "{ type nat hook prerouting priority -100; policy accept; }",
    "outward": "{ type nat hook postrouting priority 100; policy accept; }",
}


def first_address(gateway: RouterGateway, version: int) -> str | None:
    """The gateway's first address of that IP version."""
    found = (checks.address(item.ip) for item in gateway.addresses)
    return next((str(item) for item in found if item.version == version), None)


def chains(spec: RouterSpec) -> tuple[Chain, ...]:
    """The router's chains; without a gateway nothing is translated."""
    rules: dict[str, list[str]] = {name: [] for name in _HOOKS}
    rules["to_router"] = ["meta l4proto { 1, 58 } accept", "ct state established,related accept", "drop"]
    if spec.gateway is not None:
        device = f'"{names.inner_gateway(spec.gateway.port_id)}"'
        rules["from_inside"] = [f"iifname != {device} meta mark set 1"]
        rules["inward"] = [f"dnat ip to ip daddr map @{INWARD}"]
        rules["outward"] = _outward(spec.gateway, device)
        if spec.gateway.snat:
            # What is hidden outwards must not be reachable inwards by whoever learns its private address.
            rules["guard"] = [f"iifname {device} ct state new ct status & dnat != dnat drop"]
    return tuple(Chain(name, tuple(rules[name]), hook) for name, hook in _HOOKS.items())


def _outward(gateway: RouterGateway, device: str) -> list[str]:
    rules = [
        f"oifname {device} snat ip to ip saddr map @{OUTWARD}",
        f"meta mark 1 ct status dnat snat ip to ip saddr map @{OUTWARD}",
    ]
    first4, first6 = first_address(gateway, 4), first_address(gateway, 6)
    if first4:
        if gateway.snat:
            rules.append(f"meta mark 1 oifname {device} meta nfproto ipv4 snat ip to {first4}")
        rules.append(f"meta mark 1 ct status dnat meta nfproto ipv4 snat ip to {first4}")
    if first6 and gateway.snat:
        rules.append(f"meta mark 1 oifname {device} meta nfproto ipv6 snat ip6 to {first6}")
    return rules


def _elements(verb: str, items: list[FloatingIPSpec]) -> str:
    text = ""
    for item in items:
        floating, fixed = ipaddress.ip_address(item.floating_ip), ipaddress.ip_address(item.fixed_ip)
        text += f"{verb} element {TABLE} {INWARD} {{ {floating} : {fixed} }}\n"
        text += f"{verb} element {TABLE} {OUTWARD} {{ {fixed} : {floating} }}\n"
    return text


def full_text(spec: RouterSpec) -> str:
    """From anything to the spec."""
    maps = "".join(
        f"add map {TABLE} {name} {{ type ipv4_addr : ipv4_addr; }}\nflush map {TABLE} {name}\n"
        for name in (INWARD, OUTWARD)
    )
    texts = "".join(chain.text(TABLE) for chain in chains(spec))
    return f"add table {TABLE}\n" + maps + texts + _elements("add", list(spec.floating_ips))


def change_text(spec: RouterSpec, before: RouterSpec) -> str:
    """From one spec to the next, when that is applied and whole."""
    old, new = set(before.floating_ips), set(spec.floating_ips)
    gone = [item for item in before.floating_ips if item not in new]
    come = [item for item in spec.floating_ips if item not in old]
    text = _elements("delete", gone) + _elements("add", come)
    before_chains = {chain.name: chain for chain in chains(before)}
    return text + "".join(chain.text(TABLE) for chain in chains(spec) if before_chains[chain.name] != chain)
