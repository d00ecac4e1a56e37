"""Choosing ports' addresses, as Neutron does: those asked for, else one a family, and in IPv6 subnets whose hosts
number themselves the one that belongs to the port's MAC.

A `Choice` serves one change, of one port or of many: it reads each network's subnets once, remembers what it has given
to whom, and draws the addresses that may be any together.
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

    def has(self, subnet_id: str) -> bool:
        """Whether an address of this subnet is among those found."""
        return any(chosen[0] == subnet_id for chosen in self.found)

    @property
    def of_router(self) -> bool:
        """Whether the port chooses its addresses also where others build theirs from the MAC."""
        return self.device_owner in owners.ROUTER or self.device_owner == owners.FLOATING_IP


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


def choose(tx: Transaction, wish: Wish) -> list[Chosen]:
    """The addresses that one port is to have; raises Neutron's faults when one cannot be."""
    return choose_all(tx, [wish])[0]


def choose_all(tx: Transaction, wishes: Sequence[Wish]) -> list[list[Chosen]]:
    """The addresses that each port is to have: those asked for by number first, so that no other takes them."""
    choice = _Choice(tx)
    for wish in wishes:
        for item in wish.wanted or ():
            choice.exact(wish, item)
    for wish in wishes:
        for item in wish.wanted or ():
            choice.any_of_subnet(wish, item)
    choice.one_a_family([wish for wish in wishes if wish.wanted is None])
    for wish in wishes:
        choice.automatic(wish)
    return [wish.found for wish in wishes]


class _Choice:
    """One change's choosing."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._networks: dict[str, Sequence[Any]] = {}
        self._given: dict[str, dict[str, str]] = {}
        """Subnet id -> address -> port id, of addresses that were chosen and are not written yet."""

    def _subnets(self, wish: Wish) -> Sequence[Any]:
        known = self._networks.get(wish.network_id)
        if known is None:
            known = self._networks[wish.network_id] = subnets_of(self._tx, wish.network_id)
        return candidates(known, wish)

    def _held(self, subnet_id: str) -> dict[str, str]:
        return self._given.setdefault(subnet_id, {})

    def _add(self, wish: Wish, subnet: Any, text: str) -> None:
        wish.found.append((subnet.id, int(ipaddress.ip_address(text)), text))
        self._held(subnet.id)[text] = wish.port_id

    def exact(self, wish: Wish, item: dict[str, str]) -> None:
        """Take the address that an item of fixed_ips names; leave an item without one."""
        if not item or item.keys() - {"subnet_id", "ip_address"} or not any(item.values()):
            raise invalid("an item of fixed_ips has a subnet_id, an ip_address, or both.")
        subnet = self._named(wish, item["subnet_id"]) if item.get("subnet_id") else None
        if item.get("ip_address"):
            self._take_exact(wish, subnet, item["ip_address"])

    def _named(self, wish: Wish, subnet_id: str) -> Any:
        for subnet in self._subnets(wish):
            if subnet.id == subnet_id:
                return subnet
        raise invalid(
            f"Failed to create port on network {wish.network_id}, because fixed_ips included invalid subnet "
            f"{subnet_id}."
        )

    def _take_exact(self, wish: Wish, subnet: Any, given: str) -> None:
        address = read_address("fixed_ips.ip_address", given)
        if subnet is None:
            known = self._subnets(wish)
            subnet = next((s for s in known if address in ipaddress.ip_network(s.cidr)), None)
        if subnet is None:
            raise BadRequest(
                f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
                kind="InvalidIpForNetwork",
            )
        _check_within(subnet, address)
        automatic = numbers_itself(subnet) and wish.device_owner not in owners.ROUTER
        if automatic and str(address) != interface_address(subnet.cidr, wish.mac):
            raise BadRequest(
                f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} as the subnet is "
                "configured for automatic addresses",
                kind="AllocationOnAutoAddressSubnet",
            )
        if any(chosen[2] == str(address) for chosen in wish.found):
            raise invalid(f"Duplicate IP address '{address}' in fixed_ips.")
        held_by = self._held(subnet.id).get(str(address)) or allocation.holder(
            self._tx, subnet.id, int(address), subnet.ip_version
        )
        if held_by is not None and held_by != wish.port_id:
            raise conflict("IpAddressAlreadyAllocated", f"IP address {address} already allocated in subnet {subnet.id}")
        self._add(wish, subnet, str(address))

    def any_of_subnet(self, wish: Wish, item: dict[str, str]) -> None:
        """Take any address of the subnet that an item of fixed_ips names, that which the port has before others."""
        if item.get("ip_address"):
            return
        subnet = self._named(wish, item["subnet_id"])
        if numbers_itself(subnet) and wish.device_owner not in owners.ROUTER:
            return
        chosen = {text for _, _, text in wish.found}
        for own in wish.current:
            if own["subnet_id"] == subnet.id and own["ip_address"] not in chosen:
                self._add(wish, subnet, own["ip_address"])
                return
        text = allocation.free_address(self._tx, allocation.Space.of(subnet), self._held(subnet.id), lowest=wish.lowest)
        if text is None:
            raise conflict("IpAddressGenerationFailure", f"No more IP addresses available on subnet {subnet.id}.")
        self._add(wish, subnet, text)

    def one_a_family(self, wishes: Sequence[Wish]) -> None:
        """Give ports that ask for nothing an address of each IP version, from the oldest subnet that has one."""
        alike: dict[tuple[str, str, bool], list[Wish]] = {}
        for wish in wishes:
            alike.setdefault((wish.network_id, wish.device_owner, wish.lowest), []).append(wish)
        for (network_id, _, lowest), group in alike.items():
            usable = self._subnets(group[0])
            for version in (4, 6):
                family = [s for s in usable if s.ip_version == version and not numbers_itself(s)]
                if family:
                    self._spread(group, family, network_id, lowest=lowest)

    def _spread(self, group: Sequence[Wish], family: Sequence[Any], network_id: str, *, lowest: bool) -> None:
        waiting = list(group)
        for subnet in family:
            found = allocation.free_addresses(
                self._tx, allocation.Space.of(subnet), len(waiting), self._held(subnet.id), lowest=lowest
            )
            for wish, text in zip(waiting, found, strict=False):
                self._add(wish, subnet, text)
            waiting = waiting[len(found) :]
            if not waiting:
                return
        raise conflict("IpAddressGenerationFailure", f"No more IP addresses available on network {network_id}.")

    def automatic(self, wish: Wish) -> None:
        """Give a port its addresses in subnets whose hosts number themselves, unless it asked for none at all."""
        if wish.of_router:
            return
        for subnet in self._subnets(wish):
            if numbers_itself(subnet) and not wish.has(subnet.id):
                self._add(wish, subnet, interface_address(subnet.cidr, wish.mac))


def _check_within(subnet: Any, address: Any) -> None:
    network = ipaddress.ip_network(subnet.cidr)
    edges = (network.network_address, network.broadcast_address) if network.version == 4 else (network.network_address,)
    if address not in network or (network.num_addresses > 2 and address in edges):
        raise BadRequest(f"IP address {address} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet")
