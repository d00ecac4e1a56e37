"""Choosing a port's addresses, as Neutron does: those asked for, else one a family, and in IPv6 subnets whose hosts
number themselves the one that belongs to the port's MAC.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.network import allocation, owners
from stackyard.services.network.addresses import interface_address, read_address
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.subnets.bodies import AUTO_MODES
from stackyard.services.network.tables import subnets

_SUBNETS = sa.select(subnets).where(subnets.c.network_id == bindparam("network")).order_by(subnets.c.created_at)

Chosen = tuple[str, int, str]
"""Subnet id, address as a number, address as text."""


def subnets_of(tx: Transaction, network_id: str) -> Sequence[Any]:
    """A network's subnets, oldest first."""
    return tx.all(_SUBNETS, {"network": network_id})


def roomiest(tx: Transaction, family: Sequence[Any]) -> Any:
    """The first of these subnets with a free address; when none has one, the first."""
    for subnet in family:
        if len(family) == 1 or allocation.free_address(tx, allocation.Space.of(subnet)) is not None:
            return subnet
    return family[0]


def numbers_itself(subnet: Any) -> bool:
    """Whether hosts of this subnet build their addresses from their MACs."""
    return subnet.ipv6_address_mode in AUTO_MODES or subnet.ipv6_ra_mode in AUTO_MODES


def is_for(subnet: Any, device_owner: str) -> bool:
    """Whether ports of this owner may have addresses of a subnet: it is for all, or for them."""
    if not subnet.service_types or device_owner in subnet.service_types:
        return True
    return device_owner == owners.DHCP and bool(subnet.enable_dhcp)


@dataclass(slots=True)
class Wish:
    """Whose addresses are chosen: `wanted` as in a body (None: whatever is right), `current` what the port has now.

    `lowest` asks for the first free address instead of any (the service port's).
    """

    network_id: str
    mac: str
    device_owner: str
    wanted: Sequence[dict[str, str]] | None = None
    current: Sequence[dict[str, str]] = ()
    lowest: bool = False
    port_id: str = ""
    found: list[Chosen] = field(default_factory=list)

    def add(self, subnet: Any, text: str) -> None:
        """Take this address."""
        self.found.append((subnet.id, int(ipaddress.ip_address(text)), text))

    def has(self, subnet_id: str) -> bool:
        """Whether an address of this subnet is among those found."""
        return any(chosen[0] == subnet_id for chosen in self.found)


def choose(tx: Transaction, wish: Wish) -> list[Chosen]:
    """The addresses that the port is to have; raises Neutron's faults when one cannot be."""
    known = candidates(subnets_of(tx, wish.network_id), wish)
    if wish.wanted is None:
        _choose_one_a_family(tx, wish, known)
    else:
        for item in _exact_first(wish.wanted):
            _choose_wanted(tx, wish, known, item)
    if wish.device_owner not in owners.ROUTER and wish.device_owner != owners.FLOATING_IP:
        for subnet in known:
            if numbers_itself(subnet) and not wish.has(subnet.id):
                wish.add(subnet, interface_address(subnet.cidr, wish.mac))
    return wish.found


def candidates(known: Sequence[Any], wish: Wish) -> Sequence[Any]:
    """The subnets that the port may have addresses of, those first that are for such ports only."""
    if not any(subnet.service_types for subnet in known):
        return known
    held = {item["subnet_id"] for item in wish.current}
    found = [subnet for subnet in known if is_for(subnet, wish.device_owner) or subnet.id in held]
    if not found:
        raise conflict(
            "IpAddressGenerationFailureNoMatchingSubnet",
            f"No valid service subnet for the given device owner, network {wish.network_id}, service type "
            f"{wish.device_owner}.",
        )
    return sorted(found, key=lambda subnet: not subnet.service_types)


def _exact_first(wanted: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Addresses asked for by number before those that may be any, so that these do not take them."""
    return sorted(wanted, key=lambda item: "ip_address" not in item)


def _choose_one_a_family(tx: Transaction, wish: Wish, known: Sequence[Any]) -> None:
    for version in (4, 6):
        family = [s for s in known if s.ip_version == version and not numbers_itself(s)]
        if not family:
            continue
        for subnet in family:
            text = allocation.free_address(tx, allocation.Space.of(subnet), lowest=wish.lowest)
            if text is not None:
                wish.add(subnet, text)
                break
        else:
            raise conflict(
                "IpAddressGenerationFailure",
                f"No more IP addresses available on network {wish.network_id}.",
            )


def _choose_wanted(tx: Transaction, wish: Wish, known: Sequence[Any], item: dict[str, str]) -> None:
    if not item or item.keys() - {"subnet_id", "ip_address"}:
        raise invalid("an item of fixed_ips has a subnet_id, an ip_address, or both.")
    subnet = None
    if item.get("subnet_id"):
        subnet = next((s for s in known if s.id == item["subnet_id"]), None)
        if subnet is None:
            raise invalid(
                f"Failed to create port on network {wish.network_id}, because fixed_ips included invalid subnet "
                f"{item['subnet_id']}."
            )
    if item.get("ip_address"):
        _choose_exact(tx, wish, known, subnet, item["ip_address"])
    elif subnet is not None:
        _choose_any(tx, wish, subnet)
    else:
        raise invalid("an item of fixed_ips has a subnet_id, an ip_address, or both.")


def _choose_any(tx: Transaction, wish: Wish, subnet: Any) -> None:
    if numbers_itself(subnet) and wish.device_owner not in owners.ROUTER:
        return
    held = frozenset(text for _, _, text in wish.found)
    for item in wish.current:
        if item["subnet_id"] == subnet.id and item["ip_address"] not in held:
            wish.add(subnet, item["ip_address"])
            return
    text = allocation.free_address(tx, allocation.Space.of(subnet), held, lowest=wish.lowest)
    if text is None:
        raise conflict("IpAddressGenerationFailure", f"No more IP addresses available on subnet {subnet.id}.")
    wish.add(subnet, text)


def _choose_exact(tx: Transaction, wish: Wish, known: Sequence[Any], subnet: Any, given: str) -> None:
    address = read_address("fixed_ips.ip_address", given)
    if subnet is None:
        subnet = next((s for s in known if address in ipaddress.ip_network(s.cidr)), None)
        if subnet is None:
            raise BadRequest(
                f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
                kind="InvalidIpForNetwork",
            )
    network = ipaddress.ip_network(subnet.cidr)
    edges = (network.network_address, network.broadcast_address) if network.version == 4 else (network.network_address,)
    if address not in network or (network.num_addresses > 2 and address in edges):
        raise BadRequest(f"IP address {address} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet")
    automatic = numbers_itself(subnet) and wish.device_owner not in owners.ROUTER
    if automatic and str(address) != interface_address(subnet.cidr, wish.mac):
        raise BadRequest(
            f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} as the subnet is "
            "configured for automatic addresses",
            kind="AllocationOnAutoAddressSubnet",
        )
    if any(chosen[2] == str(address) for chosen in wish.found):
        raise invalid(f"Duplicate IP address '{address}' in fixed_ips.")
    held_by = allocation.holder(tx, subnet.id, int(address), subnet.ip_version)
    if held_by is not None and held_by != wish.port_id:
        raise conflict("IpAddressAlreadyAllocated", f"IP address {address} already allocated in subnet {subnet.id}")
    wish.add(subnet, str(address))
