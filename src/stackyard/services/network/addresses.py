"""Addresses as numbers and text: keys that sort, pools, interface identifiers, MACs. Pure functions."""

from __future__ import annotations

import ipaddress
import itertools
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.faults import conflict, invalid

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Pool = tuple[int, int]
"""First and last address as numbers, both included."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def read_address(field: str, text: object) -> IPAddress:
    """An address out of a body; raises InvalidField."""
    try:
        found = ipaddress.ip_address(str(text))
    except ValueError:
        raise InvalidField(field, f"'{text}' is not a valid IP address.") from None
    if getattr(found, "scope_id", None):
        raise InvalidField(field, f"'{text}' is not a valid IP address: it has a zone.")
    return found


def read_network(field: str, text: object, *, exact: bool = True) -> IPNetwork:
    """A CIDR out of a body; `exact` refuses host bits. Raises InvalidField."""
    try:
        found = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        raise InvalidField(field, f"'{text}' is not a valid IP subnet.") from None
    if getattr(found.network_address, "scope_id", None):
        raise InvalidField(field, f"'{text}' is not a valid IP subnet: it has a zone.")
    if exact:
        given = str(text).partition("/")
        if not given[1] or ipaddress.ip_address(given[0]) != found.network_address:
            raise InvalidField(field, f"'{text}' isn't a recognized IP subnet cidr, '{found}' is recommended.")
    return found


def read_mac(field: str, text: object) -> str:
    """A unicast MAC address, in lower case with colons; raises InvalidField."""
    lowered = str(text).lower().replace("-", ":")
    if not _MAC.fullmatch(lowered) or int(lowered[:2], 16) & 1 or lowered == "00:00:00:00:00:00":
        raise InvalidField(field, f"'{text}' is not a valid MAC address.")
    return lowered


def new_mac() -> str:
    """A random MAC with OpenStack's prefix."""
    tail = secrets.token_bytes(3)
    return f"fa:16:3e:{tail[0]:02x}:{tail[1]:02x}:{tail[2]:02x}"


def key_of(address: int, version: int) -> str:
    """The address as text that sorts as the number does."""
    return f"{address:08x}" if version == 4 else f"{address:032x}"


def text_of(address: int, version: int) -> str:
    """The address as people write it."""
    return str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))


def interface_address(cidr: str, mac: str) -> str:
    """The address that a host with this MAC gives itself in an IPv6 /64 (modified EUI-64)."""
    octets = [int(part, 16) for part in mac.split(":")]
    identifier = bytes([octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]])
    network = ipaddress.IPv6Network(cidr)
    return str(ipaddress.IPv6Address(int(network.network_address) | int.from_bytes(identifier)))


def usable(network: IPNetwork) -> Pool:
    """The addresses that hosts may have: without IPv4's network and broadcast address, and IPv6's router anycast."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        return (first, last) if network.prefixlen >= 31 else (first + 1, last - 1)
    return (first, last) if network.prefixlen >= 127 else (first + 1, last)


def default_pools(network: IPNetwork, gateway: IPAddress | None) -> list[Pool]:
    """All usable addresses but the gateway's."""
    first, last = usable(network)
    if gateway is None or not first <= int(gateway) <= last:
        return [(first, last)]
    middle = int(gateway)
    return [pool for pool in ((first, middle - 1), (middle + 1, last)) if pool[0] <= pool[1]]


def read_pools(network: IPNetwork, given: Iterable[Mapping[str, Any]]) -> list[Pool]:
    """Allocation pools out of a body, in order; raises Neutron's faults for those that cannot be."""
    pools: list[Pool] = []
    lowest, highest = usable(network)
    for item in given:
        shown = f"{item.get('start')}-{item.get('end')}"
        try:
            start, end = ipaddress.ip_address(str(item.get("start"))), ipaddress.ip_address(str(item.get("end")))
        except ValueError:
            raise BadRequest(f"The allocation pool {shown} is not valid.", kind="InvalidAllocationPool") from None
        if not start.version == end.version == network.version or int(start) > int(end) or len(item) != 2:
            raise BadRequest(f"The allocation pool {shown} is not valid.", kind="InvalidAllocationPool")
        if int(start) < lowest or int(end) > highest:
            raise BadRequest(
                f"The allocation pool {shown} spans beyond the subnet cidr {network}.", kind="OutOfBoundsAllocationPool"
            )
        pools.append((int(start), int(end)))
    pools.sort()
    for before, after in itertools.pairwise(pools):
        if after[0] <= before[1]:
            names = [f"{text_of(a, network.version)}-{text_of(b, network.version)}" for a, b in (before, after)]
            raise conflict(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools: {names[0]} {names[1]} for subnet {network}.",
            )
    return pools


def stored_pools(pools: Sequence[Pool], version: int) -> list[dict[str, str]]:
    """Pools as rows keep them and the API shows them."""
    return [{"start": text_of(start, version), "end": text_of(end, version)} for start, end in pools]


def loaded_pools(stored: Iterable[Mapping[str, str]]) -> list[Pool]:
    """Pools as numbers."""
    return [(int(ipaddress.ip_address(item["start"])), int(ipaddress.ip_address(item["end"]))) for item in stored]


def check_gateway(network: IPNetwork, gateway: IPAddress) -> None:
    """A gateway is a host's address of its subnet, or an IPv6 link-local one; raises InvalidInput."""
    if gateway.version != network.version:
        raise invalid(f"gateway_ip '{gateway}' is not an IPv{network.version} address.")
    if gateway.version == 6 and gateway.is_link_local:
        return
    first, last = usable(network)
    if not first <= int(gateway) <= last:
        raise invalid(f"Gateway is not valid on subnet: {gateway} is not a host's address in {network}.")
