"""What a subnet may be given: bodies, and the reading of their fields into a row's values."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.addresses import (
    IPAddress,
    IPNetwork,
    Pool,
    check_gateway,
    default_pools,
    read_address,
    read_network,
    read_pools,
)
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.resources import Flag, Text, either, flag, integer

MODES = ("dhcpv6-stateful", "dhcpv6-stateless", "slaac")
AUTO_MODES = frozenset({"slaac", "dhcpv6-stateless"})
_SERVICE_TYPES = ("network:", "neutron:", "compute:", "baremetal:", "manila:")
_LONGEST_TYPE = 255
_MOST_NAMESERVERS = 5
_MOST_ROUTES = 20


class SubnetFields(Body):
    """What a subnet may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    gateway_ip: str | UnsetType | None = UNSET
    enable_dhcp: Flag | UnsetType = UNSET
    dns_nameservers: list[str] | UnsetType | None = UNSET
    host_routes: list[dict[str, str]] | UnsetType | None = UNSET
    allocation_pools: list[dict[str, str]] | UnsetType | None = UNSET
    service_types: list[object] | UnsetType | None = UNSET
    segment_id: Text | UnsetType | None = UNSET
    dns_publish_fixed_ip: Flag | UnsetType = UNSET


class NewSubnet(SubnetFields, kw_only=True):
    """The body of a POST."""

    network_id: Text
    cidr: str | UnsetType | None = UNSET
    ip_version: int | str | UnsetType = UNSET
    ipv6_ra_mode: str | UnsetType | None = UNSET
    ipv6_address_mode: str | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    subnetpool_id: str | UnsetType | None = UNSET
    use_default_subnetpool: Flag | UnsetType = UNSET
    prefixlen: int | str | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET


def read_new(body: NewSubnet, network: IPNetwork) -> dict[str, Any]:
    """The columns of a new subnet on addresses of its own, all but the standard ones; raises Neutron's faults."""
    dhcp = flag("enable_dhcp", body.enable_dhcp, default=True)
    _check_cidr(network, read_version(body))
    if dhcp:
        check_dhcp(network)
    ra_mode, address_mode = read_modes(network, body, dhcp=dhcp)
    gateway = _new_gateway(network, body)
    pools = _new_pools(network, body, gateway)
    return {
        "ip_version": network.version,
        "cidr": str(network),
        "gateway_ip": str(gateway) if gateway else None,
        "enable_dhcp": dhcp,
        "ipv6_ra_mode": ra_mode,
        "ipv6_address_mode": address_mode,
        "allocation_pools": pools,
        "dns_nameservers": read_nameservers(network.version, either(body.dns_nameservers, None)),
        "host_routes": read_routes(network, either(body.host_routes, None)),
        "service_types": read_service_types(either(body.service_types, None)),
        "segment_id": either(body.segment_id, None),
        "dns_publish_fixed_ip": flag("dns_publish_fixed_ip", body.dns_publish_fixed_ip, default=False),
    }


def read_version(body: NewSubnet) -> int:
    """4 or 6."""
    if body.ip_version is UNSET:
        raise InvalidField("ip_version", "it is required: 4 or 6.")
    version = integer("ip_version", body.ip_version)
    if version not in (4, 6):
        raise InvalidField("ip_version", f"'{version}' is not in [4, 6].")
    return version


def read_service_types(given: list[object] | None) -> list[str]:
    """Device owners whose ports a subnet is for; none: for all that no other subnet of the network is for."""
    found: dict[str, None] = {}
    for item in given or []:
        if not isinstance(item, str):
            raise invalid(f"Subnet service type {item} is not a string.", "InvalidInputSubnetServiceType")
        if not item.startswith(_SERVICE_TYPES) or len(item) > _LONGEST_TYPE:
            raise invalid(
                f"Subnet service type {item} does not correspond to a valid device owner.", "InvalidSubnetServiceType"
            )
        found[item] = None
    return list(found)


def _check_cidr(network: IPNetwork, version: int) -> None:
    if network.version != version:
        raise invalid(f"cidr '{network}' does not match the ip_version '{version}'")
    if network.prefixlen == 0:
        raise invalid("0 is not allowed as CIDR prefix length")
    if network.version == 6 and int(network.network_address) == 0:
        raise invalid("IPv6 subnet '::' is not supported")
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise invalid(f"cidr '{network}' is multicast, loopback or link-local, which no subnet can be.")


def check_dhcp(network: IPNetwork) -> None:
    """Whether addresses of a network can be given out by DHCP: there are enough, and 0.0.0.0 is none of them."""
    if network.prefixlen > network.max_prefixlen - 2:
        raise invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if network.version == 4 and int(network.network_address) == 0:
        raise invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")


def read_modes(network: IPNetwork, body: NewSubnet, *, dhcp: bool) -> tuple[str | None, str | None]:
    """How IPv6 hosts get their addresses: (ipv6_ra_mode, ipv6_address_mode)."""
    ra_mode, address_mode = either(body.ipv6_ra_mode, None), either(body.ipv6_address_mode, None)
    for name, mode in (("ipv6_ra_mode", ra_mode), ("ipv6_address_mode", address_mode)):
        if mode is not None and mode not in MODES:
            raise InvalidField(name, f"'{mode}' is not in {list(MODES)}.")
        if mode is not None and network.version == 4:
            raise invalid(f"{name} is not valid when ip_version is 4")
        if mode is not None and not dhcp:
            raise invalid(f"{name} cannot be set when enable_dhcp is set to False")
        if mode in AUTO_MODES and network.prefixlen != 64:
            raise invalid(f"Invalid CIDR {network} for IPv6 address mode. The prefix length must be 64 for {mode}.")
    if ra_mode and address_mode and ra_mode != address_mode:
        raise invalid(
            f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid. "
            "If both attributes are set, they must be the same value"
        )
    return ra_mode, address_mode


def _new_gateway(network: IPNetwork, body: NewSubnet) -> IPAddress | None:
    if body.gateway_ip is None:
        return None
    if body.gateway_ip is not UNSET:
        gateway = read_address("gateway_ip", body.gateway_ip)
        check_gateway(network, gateway)
        return gateway
    if network.num_addresses == 1:
        return None
    # An IPv4 point-to-point pair has no network address to leave out.
    return network[0] if network.version == 4 and network.prefixlen == 31 else network[1]


def _new_pools(network: IPNetwork, body: NewSubnet, gateway: IPAddress | None) -> list[Pool]:
    given = either(body.allocation_pools, None)
    if not given:
        return default_pools(network, gateway)
    pools = read_pools(network, given)
    # A gateway that nobody asked for gives way to the pools that somebody did ask for only by an error, as it must
    # be known which of the two was meant.
    refuse_gateway_in_pools(pools, gateway)
    return pools


def refuse_gateway_in_pools(pools: list[Pool], gateway: IPAddress | None) -> None:
    """Raise GatewayConflictWithAllocationPools when the gateway's address could be given away."""
    if gateway is not None and any(start <= int(gateway) <= end for start, end in pools):
        raise conflict(
            "GatewayConflictWithAllocationPools", f"Gateway ip {gateway} conflicts with allocation pool of its subnet."
        )


def read_nameservers(version: int, given: list[str] | None) -> list[str]:
    """DNS servers: addresses of the subnet's IP version, each once, at most five."""
    addresses = [read_address(f"dns_nameservers[{i}]", text) for i, text in enumerate(given or [])]
    for address in addresses:
        if address.version != version:
            raise invalid(f"dns_nameserver '{address}' does not match the ip_version '{version}'")
    found = [str(address) for address in addresses]
    if len(set(found)) != len(found):
        raise InvalidField("dns_nameservers", "duplicate items are not allowed.")
    if len(found) > _MOST_NAMESERVERS:
        raise BadRequest(
            f"The number of DNS nameservers exceeds the limit {_MOST_NAMESERVERS}.", kind="DNSNameServersExhausted"
        )
    return found


def read_routes(network: IPNetwork, given: list[dict[str, str]] | None) -> list[dict[str, str]]:
    """Host routes: destination and nexthop, each once, at most twenty."""
    found = []
    for index, item in enumerate(given or []):
        where = f"host_routes[{index}]"
        if item.keys() != {"destination", "nexthop"}:
            raise InvalidField(where, "a route has a destination and a nexthop, nothing else.")
        destination = read_network(f"{where}.destination", item["destination"])
        nexthop = read_address(f"{where}.nexthop", item["nexthop"])
        if not destination.version == nexthop.version == network.version:
            raise invalid(f"{where} is not of IP version {network.version}.")
        found.append({"destination": str(destination), "nexthop": str(nexthop)})
    if len({(item["destination"], item["nexthop"]) for item in found}) != len(found):
        raise InvalidField("host_routes", "duplicate items are not allowed.")
    if len(found) > _MOST_ROUTES:
        raise BadRequest(f"The number of host routes exceeds the limit {_MOST_ROUTES}.", kind="HostRoutesExhausted")
    return found
