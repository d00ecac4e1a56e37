"""What passes where a network leaves the host: everything but the talk with the network's own server.

Every host that has a network runs its DHCP and DNS server itself, on all of them with the same MAC and address, so what
is for the server, and what the server says, stays on the host. Established connections need not be looked at (see
filter.py): none with the server begins across the edge.
"""

from __future__ import annotations

from stackyard.host.network import checks, names
from stackyard.host.network.filter import TABLE
from stackyard.host.network.nft import Chain, Listing
from stackyard.host.specs import NetworkSpec

_DIRECTIONS = (("leaving", "out_"), ("entering", "in_"))
"""The filter's maps of what leaves and enters by a device, and what the names of the networks' chains begin with."""

_METADATA4, _METADATA6 = "169.254.169.254", "fe80::a9fe:a9fe"


def chains(spec: NetworkSpec) -> tuple[Chain, ...]:
    """The two chains of a network that leaves the host; without a server of ours nothing is kept back."""
    key, port = names.short(spec.id), spec.service_port
    if port is None:
        return Chain(f"out_{key}"), Chain(f"in_{key}")
    mac = checks.mac(port.mac)
    own = [checks.address(item.ip) for item in port.addresses]
    four = sorted({str(item) for item in own if item.version == 4} | {_METADATA4})
    six = sorted({int(item) for item in own if item.version == 6} | {int(checks.address(_METADATA6))})
    targets = ", ".join(f"0x{item:032x}" for item in six)
    between = (f"ether saddr {mac} drop", f"ether daddr {mac} drop")
    asked = (
        f"arp operation request arp daddr ip {{ {', '.join(four)} }} drop",
        f"icmpv6 type 135 @th,64,128 {{ {targets} }} drop",
        "ether type ip udp sport 68 udp dport 67 drop",
        "ether type ip6 udp sport 546 udp dport 547 drop",
    )
    return Chain(f"out_{key}", (*between, *asked)), Chain(f"in_{key}", (*between, *asked))


def _elements(verb: str, device: str, network_id: str) -> str:
    key = names.short(network_id)
    return "".join(
        f'{verb} element {TABLE} {way} {{ "{device}" : goto {prefix}{key} }}\n' for way, prefix in _DIRECTIONS
    )


def text(spec: NetworkSpec, device: str) -> str:
    """Put the filter of a network's way out in force."""
    return "".join(chain.text(TABLE) for chain in chains(spec)) + _elements("add", device, spec.id)


def remove_text(network_id: str, device: str) -> str:
    """Take it away, whether it is there or not."""
    key = names.short(network_id)
    declared = "".join(f"add chain {TABLE} {prefix}{key}\n" for _, prefix in _DIRECTIONS)
    gone = "".join(
        f"flush chain {TABLE} {prefix}{key}\ndelete chain {TABLE} {prefix}{key}\n" for _, prefix in _DIRECTIONS
    )
    elements = _elements("add", device, network_id) + _elements("delete", device, network_id)
    return declared + elements + gone


def is_whole(listing: Listing, spec: NetworkSpec, device: str) -> bool:
    """Whether the filter is in force, unchanged."""
    dispatched = all(listing.has(way, device) for way, _ in _DIRECTIONS)
    return dispatched and all(map(listing.holds, chains(spec)))
