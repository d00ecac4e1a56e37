"""What a security group and a rule may be given: bodies, and the reading of a rule's fields."""

from __future__ import annotations

import ipaddress
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.addresses import read_network
from stackyard.services.network.resources import Flag, Text, either, integer

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Protocol names that Neutron knows, with their numbers."""

_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_ICMP = frozenset({1, 58})
_ONLY_V6 = frozenset({41, 43, 44, 58, 59, 60})
_ETHERTYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}


class GroupFields(Body):
    """What a group may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    stateful: Flag | UnsetType = UNSET


class NewGroup(GroupFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class NewRule(Body, kw_only=True):
    """The body of a rule's POST."""

    security_group_id: Text
    direction: str
    ethertype: str | UnsetType | None = UNSET
    protocol: str | int | UnsetType | None = UNSET
    port_range_min: int | str | UnsetType | None = UNSET
    port_range_max: int | str | UnsetType | None = UNSET
    remote_ip_prefix: str | UnsetType | None = UNSET
    remote_group_id: str | UnsetType | None = UNSET
    remote_address_group_id: str | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def read_rule(body: NewRule) -> dict[str, Any]:
    """A rule's columns; raises Neutron's faults for what makes no sense."""
    if body.direction not in ("ingress", "egress"):
        raise InvalidField("direction", f"'{body.direction}' is not in ['ingress', 'egress'].")
    ethertype = _ETHERTYPES.get((either(body.ethertype, None) or "IPv4").lower())
    if ethertype is None:
        raise InvalidField("ethertype", f"'{body.ethertype}' is not in ['IPv4', 'IPv6'].")
    if either(body.remote_address_group_id, None):
        raise InvalidField("remote_address_group_id", "address groups are not served by this cloud; leave it out.")
    protocol = _protocol(either(body.protocol, None))
    low, high = (_port(name, getattr(body, name)) for name in ("port_range_min", "port_range_max"))
    number = protocol_number(protocol)
    _check_protocol(protocol, number, ethertype)
    low, high = _check_ports(number, protocol, low, high)
    prefix, group = either(body.remote_ip_prefix, None) or None, either(body.remote_group_id, None) or None
    if prefix is not None and group is not None:
        raise BadRequest(
            "Only remote_ip_prefix or remote_group_id may be provided.",
            kind="SecurityGroupRemoteGroupAndRemoteIpPrefix",
        )
    return {
        "direction": body.direction,
        "ethertype": ethertype,
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": prefix,
        "normalized_cidr": _cidr(prefix, ethertype) if prefix else None,
        "remote_group_id": group,
        "description": either(body.description, "") or "",
    }


def _port(name: str, value: int | str | UnsetType | None) -> int | None:
    return None if value is UNSET or value is None else integer(name, value)


def _protocol(value: str | int | None) -> str | None:
    if value is None or value == "" or (isinstance(value, str) and value.lower() == "any"):
        return None
    text = str(value).lower()
    if text in PROTOCOLS or (text.isascii() and text.isdigit() and int(text) <= 255):
        return text
    raise BadRequest(
        f"Security group rule protocol {value} not supported. Only protocol values {sorted(PROTOCOLS)} and integer "
        "representations [0 to 255] are supported.",
        kind="SecurityGroupRuleInvalidProtocol",
    )


def protocol_number(protocol: str | None) -> int | None:
    """The IP protocol number of a name or number; None for any."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def _check_protocol(protocol: str | None, number: int | None, ethertype: str) -> None:
    if number in _ONLY_V6 and ethertype == "IPv4":
        raise BadRequest(
            f"Invalid ethertype {ethertype} for protocol {protocol}.",
            kind="SecurityGroupEthertypeConflictWithProtocol",
        )


def _check_ports(
    number: int | None, protocol: str | None, low: int | None, high: int | None
) -> tuple[int | None, int | None]:
    if low is None and high is None:
        return None, None
    if number is None:
        raise BadRequest(
            "Must also specify protocol if port range is given.", kind="SecurityGroupProtocolRequiredWithPorts"
        )
    if number in _ICMP:
        _check_icmp(low, high)
        return low, high
    if number not in _WITH_PORTS:
        raise BadRequest(
            f"Invalid port range {low}:{high}: protocol {protocol} has no ports.",
            kind="SecurityGroupRuleInvalidProtocolForPortRange",
        )
    for value in (low, high):
        if value is not None and not 1 <= value <= 65535:
            raise BadRequest(
                f"Invalid value for port {value}: it must be between 1 and 65535.", kind="SecurityGroupInvalidPortValue"
            )
    if low is None or high is None or low > high:
        raise BadRequest(
            f"For TCP/UDP protocols, port_range_min must be <= port_range_max; not {low} and {high}.",
            kind="SecurityGroupInvalidPortRange",
        )
    return low, high


def _check_icmp(low: int | None, high: int | None) -> None:
    for field, value, what in (("port_range_min", low, "type"), ("port_range_max", high, "code")):
        if value is not None and not 0 <= value <= 255:
            raise BadRequest(
                f"Invalid value for ICMP {what} ({field}) {value}. It must be 0 to 255.",
                kind="SecurityGroupInvalidIcmpValue",
            )
    if low is None and high is not None:
        raise BadRequest(
            f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
            kind="SecurityGroupMissingIcmpType",
        )


def _cidr(prefix: str, ethertype: str) -> str:
    network = read_network("remote_ip_prefix", prefix, exact=False)
    if network.version != (4 if ethertype == "IPv4" else 6):
        raise BadRequest(
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}", kind="SecurityGroupRuleParameterConflict"
        )
    return str(ipaddress.ip_network(network))
