"""IP protocols as rules name them, and what ports or ICMP types each of them can have."""

from __future__ import annotations

from stackyard.core.errors import BadRequest
from stackyard.services.network.resources import integer

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Protocol names that Neutron knows, with their numbers."""

_PORTED = {"dccp": 33, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136}
_ICMP = frozenset({1, 58})
_ONLY_V6 = frozenset({41, 43, 44, 58, 59, 60})
_LARGEST = 65535

Ports = tuple[int | None, int | None]


def read_protocol(value: str | int | None, ethertype: str) -> str | None:
    """A protocol's name or number, in lower case; None for any. Old names of ICMPv6 become the present one."""
    if value is None or (isinstance(value, str) and value.lower() in ("", "any")):
        return None
    text = str(value).lower()
    if text not in PROTOCOLS and not (text.isascii() and text.isdigit() and int(text) <= 255):
        raise BadRequest(
            f"Security group rule protocol {value} not supported. Only protocol values {sorted(PROTOCOLS)} and integer "
            "representations [0 to 255] are supported.",
            kind="SecurityGroupRuleInvalidProtocol",
        )
    if ethertype == "IPv6":
        text = {"icmp": "ipv6-icmp", "icmpv6": "ipv6-icmp", "1": "58"}.get(text, text)
    elif number_of(text) in _ONLY_V6:
        raise BadRequest(
            f"Invalid ethertype {ethertype} for protocol {text}.", kind="SecurityGroupEthertypeConflictWithProtocol"
        )
    return text


def number_of(protocol: str | None) -> int | None:
    """The IP protocol number of a name or number; None for any."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def read_port(name: str, value: object) -> int | None:
    """A port, or an ICMP type or code: what of these it is, the protocol says."""
    if value is None:
        return None
    try:
        found = integer(name, value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except BadRequest:
        found = -1
    if not 0 <= found <= _LARGEST:
        raise BadRequest(f"Invalid value for port {value}", kind="SecurityGroupInvalidPortValue")
    return found


def check_ports(protocol: str | None, low: int | None, high: int | None) -> Ports:
    """Whether the protocol may have these; all ports are as good as none. Raises Neutron's faults."""
    if (low, high) in ((None, None), (1, _LARGEST)):
        return None, None
    number = number_of(protocol)
    if number is None:
        raise BadRequest(
            "Must also specify protocol if port range is given.", kind="SecurityGroupProtocolRequiredWithPorts"
        )
    if number in _ICMP:
        _check_icmp(low, high)
    elif number not in _PORTED.values():
        raise BadRequest(
            f"Ports cannot be specified for protocol {number}. Ports are only supported for "
            f"{', '.join(name.upper() for name in _PORTED)}.",
            kind="SecurityGroupInvalidProtocolForPort",
        )
    elif 0 in (low, high):
        raise BadRequest("Invalid value for port 0", kind="SecurityGroupInvalidPortValue")
    elif low is None or high is None or low > high:
        raise BadRequest(
            f"For TCP/UDP protocols, port_range_min must be <= port_range_max; not {low} and {high}.",
            kind="SecurityGroupInvalidPortRange",
        )
    return low, high


def _check_icmp(low: int | None, high: int | None) -> None:
    for field, value, what in (("port_range_min", low, "type"), ("port_range_max", high, "code")):
        if value is not None and value > 255:
            raise BadRequest(
                f"Invalid value for ICMP {what} ({field}) {value}. It must be 0 to 255.",
                kind="SecurityGroupInvalidIcmpValue",
            )
    if low is None and high is not None:
        raise BadRequest(
            f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
            kind="SecurityGroupMissingIcmpType",
        )
