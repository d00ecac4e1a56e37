"""What a spec must satisfy before anything is written to the kernel; every driver calls these first.

Nothing reaches nft, dnsmasq or radvd text that has not been read here (or where it is rendered) as an address, a MAC,
a name or a number. Each function returns nothing and raises SpecError.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from pathlib import PurePosixPath

from stackyard.host.errors import SpecError
from stackyard.host.network import names
from stackyard.host.specs import (
    Address,
    AddressGroupSpec,
    AddressPair,
    HostRecord,
    NetworkSpec,
    PortSpec,
    Qos,
    Route,
    SecurityGroupSpec,
    SecurityRule,
    SubnetSpec,
)

_REMEMBERED = 1 << 15
"""How many texts of addresses are read only once: whenever one member of a group comes, all the others are the same."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_NETNS = re.compile(r"/[A-Za-z0-9_./-]{1,250}\Z")

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Protocol names that Neutron knows, with their numbers."""

WITH_PORTS = frozenset({6, 17, 33, 132, 136})
"""Protocols whose rules may name port ranges."""

_IPV6_MODES = frozenset({None, "slaac", "dhcpv6-stateful", "dhcpv6-stateless"})


@lru_cache(maxsize=_REMEMBERED)
def address(text: str) -> IPAddress:
    """Read an address; no prefix, no zone."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise SpecError(f"{text!r} is not an IP address") from error
    if getattr(found, "scope_id", None):
        raise SpecError(f"{text!r}: an address with a zone has no meaning here")
    return found


@lru_cache(maxsize=_REMEMBERED)
def network(text: str) -> IPNetwork:
    """Read a CIDR or a single address; host bits are dropped."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise SpecError(f"{text!r} is not an address or CIDR") from error
    if getattr(found.network_address, "scope_id", None):
        raise SpecError(f"{text!r}: an address with a zone has no meaning here")
    return found


def mac(text: str) -> str:
    """Read a unicast MAC address, in lower case with colons."""
    lowered = text.lower()
    if not _MAC.match(lowered) or int(lowered[:2], 16) & 1:
        raise SpecError(f"{text!r} is not the MAC address of an interface")
    return lowered


def protocol(rule: SecurityRule) -> int | None:
    """The rule's IP protocol number, None for any (0 means any too). For IPv6, icmp means ICMPv6."""
    if rule.protocol is None or rule.protocol == "any":
        return None
    number = PROTOCOLS.get(rule.protocol.lower())
    if number is None:
        if not re.fullmatch(r"[0-9]{1,3}", rule.protocol) or int(rule.protocol) > 255:
            raise SpecError(f"{rule.protocol!r} is not an IP protocol")
        number = int(rule.protocol)
    if number == 0:
        return None
    return 58 if number == 1 and rule.ethertype == 6 else number


def host_name(text: str) -> str:
    """Read a DNS name of one or more labels, in lower case."""
    labels = text.rstrip(".").split(".")
    if not text or len(text) > 253 or not all(_LABEL.match(label) for label in labels):
        raise SpecError(f"{text!r} is not a host name")
    return text.rstrip(".").lower()


def check_address(item: Address) -> None:
    found = address(item.ip)
    if not 0 <= item.prefix_length <= found.max_prefixlen:
        raise SpecError(f"{item.ip}/{item.prefix_length}: no such prefix length")


def check_route(item: Route) -> None:
    if network(item.destination).version != address(item.next_hop).version:
        raise SpecError(f"route to {item.destination} by {item.next_hop}: the address families differ")


def check_subnet(item: SubnetSpec) -> None:
    names.check_id(item.id)
    found = network(item.cidr)
    for text in (*item.dns_servers, *((item.gateway,) if item.gateway else ())):
        address(text)
    if item.gateway and address(item.gateway).version != found.version:
        raise SpecError(f"gateway {item.gateway} of {item.cidr}: the address families differ")
    for route in item.host_routes:
        check_route(route)
    if item.ipv6_mode not in _IPV6_MODES or (item.ipv6_mode and found.version != 6):
        raise SpecError(f"{item.cidr} cannot have IPv6 mode {item.ipv6_mode!r}")


def _check_host(item: HostRecord) -> None:
    mac(item.mac)
    for text in item.ips:
        address(text)
    for text in item.names:
        host_name(text)


def _check_mtu(mtu: int) -> None:
    if not 68 <= mtu <= 65521:
        raise SpecError(f"{mtu} is not an MTU between 68 and 65521 bytes")


def check_network(spec: NetworkSpec) -> None:
    names.check_id(spec.id)
    _check_mtu(spec.mtu)
    host_name(spec.dns_domain)
    for subnet in spec.subnets:
        check_subnet(subnet)
    for host in spec.hosts:
        _check_host(host)
    if spec.service_port:
        names.check_id(spec.service_port.id)
        mac(spec.service_port.mac)
        for item in spec.service_port.addresses:
            check_address(item)
    _check_segment(spec)
    for peer in spec.peers:
        address(peer.address)
        for neighbour in peer.neighbours:
            mac(neighbour.mac)
            for text in neighbour.ips:
                address(text)


_NUMBERS = {"vxlan": 2**24 - 1, "vlan": 4094}
"""The highest number of the kinds of segment that have numbers."""


def _check_segment(spec: NetworkSpec) -> None:
    kind, number = spec.segment.network_type, spec.segment.segmentation_id
    if kind not in ("local", "flat", *_NUMBERS):
        raise SpecError(f"network {spec.id} is of a kind that no host makes: {kind!r}")
    if kind in _NUMBERS and (number is None or not 1 <= number <= _NUMBERS[kind]):
        raise SpecError(f"network {spec.id}: {number} is not a {kind} number from 1 to {_NUMBERS[kind]}")
    if kind in ("flat", "vlan") and not spec.segment.physical_network:
        raise SpecError(f"network {spec.id} is of kind {kind} and names no physical network")


def _check_pair(item: AddressPair) -> None:
    network(item.ip)
    if item.mac is not None:
        mac(item.mac)


def _check_kind(spec: PortSpec) -> None:
    if spec.kind in ("veth", "offered"):
        names.check_device(spec.device)
        if not _NETNS.match(spec.netns) or ".." in PurePosixPath(spec.netns).parts:
            raise SpecError(f"{spec.netns!r} is not the absolute path of a network namespace")
    elif spec.kind == "vlan":
        if spec.parent is None or spec.vlan_id is None or not 1 <= spec.vlan_id <= 4094:
            raise SpecError(
                f"a subport needs a parent and a VLAN from 1 to 4094, not {spec.vlan_id} on {spec.parent!r}"
            )
        names.check_id(spec.parent)
    elif spec.kind != "tap":
        raise SpecError(f"{spec.kind!r} is not a kind of port")


_LARGEST = 2**31 - 1


def check_qos(item: Qos) -> None:
    for bandwidth in item.bandwidth:
        _check_limit(bandwidth.max_kbps, bandwidth.max_burst_kbps, "kbit/s")
    for rate in item.packet_rate:
        _check_limit(rate.max_kpps, rate.max_burst_kpps, "thousand packets a second")
    for directions in ([one.direction for one in item.bandwidth], [one.direction for one in item.packet_rate]):
        if not {"ingress", "egress"}.issuperset(directions) or len(set(directions)) != len(directions):
            raise SpecError(f"limits are for ingress and egress, one each, not for {', '.join(directions)}")
    _check_number(item.dscp, 63, "a DSCP mark")
    _check_number(item.minimum_kbps, _LARGEST, "a bandwidth")


def _check_limit(most: int, burst: int, unit: str) -> None:
    if not 1 <= most <= _LARGEST or not 0 <= burst <= _LARGEST:
        raise SpecError(f"{most} {unit} with bursts of {burst} is not a limit between 1 and {_LARGEST}")


def check_port(spec: PortSpec) -> None:
    names.check_id(spec.id)
    names.check_id(spec.network_id)
    mac(spec.mac)
    _check_mtu(spec.mtu)
    _check_kind(spec)
    if spec.qos is not None:
        check_qos(spec.qos)
    for item in spec.addresses:
        check_address(item)
    for text in spec.gateways:
        address(text)
    for route in spec.routes:
        check_route(route)
    for group in spec.security_groups:
        names.check_id(group)
    for pair in spec.allowed_pairs:
        _check_pair(pair)


def _check_number(value: int | None, limit: int, what: str) -> None:
    if value is not None and not 0 <= value <= limit:
        raise SpecError(f"{value} is not {what} between 0 and {limit}")


def check_rule(rule: SecurityRule) -> None:
    if rule.direction not in ("ingress", "egress") or rule.ethertype not in (4, 6):
        raise SpecError(f"no rule has direction {rule.direction!r} and ethertype {rule.ethertype!r}")
    number = protocol(rule)
    if number == 58 and rule.ethertype == 4:
        raise SpecError("ICMPv6 does not travel in IPv4")
    if number in (1, 58):
        _check_number(rule.port_min, 255, "an ICMP type")
        _check_number(rule.port_max, 255, "an ICMP code")
        if rule.port_max is not None and rule.port_min is None:
            raise SpecError("an ICMP code needs a type")
    elif rule.port_min is not None or rule.port_max is not None:
        if number not in WITH_PORTS:
            raise SpecError(f"protocol {rule.protocol!r} has no ports")
        _check_number(rule.port_min, 65535, "a port")
        _check_number(rule.port_max, 65535, "a port")
        if rule.port_min is not None and rule.port_max is not None and rule.port_min > rule.port_max:
            raise SpecError(f"ports {rule.port_min}-{rule.port_max}: the range is upside down")
    remotes = (rule.remote_cidr, rule.remote_group, rule.remote_address_group)
    if sum(remote is not None for remote in remotes) > 1:
        raise SpecError("a rule names a remote CIDR, a remote group or a remote address group, only one of them")
    if rule.remote_cidr is not None and network(rule.remote_cidr).version != rule.ethertype:
        raise SpecError(f"{rule.remote_cidr} is not of ethertype IPv{rule.ethertype}")
    for group_id in (rule.remote_group, rule.remote_address_group):
        if group_id is not None:
            names.check_id(group_id)


def check_security_group(spec: SecurityGroupSpec) -> None:
    names.check_id(spec.id)
    for rule in spec.rules:
        check_rule(rule)
    for text in spec.members:
        address(text)


def check_address_group(spec: AddressGroupSpec) -> None:
    names.check_id(spec.id)
    for text in spec.addresses:
        network(text)
