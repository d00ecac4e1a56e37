"""What a security group and a rule may be given: bodies, and the reading of a rule's fields."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.resources import Flag, Text, either
from stackyard.services.network.security_groups.protocols import check_ports, number_of, read_port, read_protocol

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


class RuleFields(Body, kw_only=True):
    """What says which packets a rule allows."""

    direction: str
    ethertype: str | int | UnsetType | None = UNSET
    protocol: str | int | UnsetType | None = UNSET
    port_range_min: int | str | float | bool | UnsetType | None = UNSET
    port_range_max: int | str | float | bool | UnsetType | None = UNSET
    remote_ip_prefix: str | UnsetType | None = UNSET
    remote_group_id: Text | UnsetType | None = UNSET
    remote_address_group_id: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class NewRule(RuleFields, kw_only=True):
    """The body of a rule's POST."""

    security_group_id: Text
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def read_rule(body: RuleFields) -> dict[str, Any]:
    """A rule's columns; raises Neutron's faults for what makes no sense."""
    if body.direction not in ("ingress", "egress"):
        raise InvalidField("direction", f"'{body.direction}' is not in ['ingress', 'egress'].")
    ethertype = _ethertype(either(body.ethertype, "IPv4"))
    protocol = read_protocol(either(body.protocol, None), ethertype)
    ports = (read_port(name, either(getattr(body, name), None)) for name in ("port_range_min", "port_range_max"))
    low, high = check_ports(protocol, *ports)
    remotes = {
        name: either(getattr(body, name), None) or None
        for name in ("remote_ip_prefix", "remote_group_id", "remote_address_group_id")
    }
    if sum(value is not None for value in remotes.values()) > 1:
        raise BadRequest(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            kind="SecurityGroupMultipleRemoteEntites",
        )
    prefix = remotes["remote_ip_prefix"]
    interface = _prefix(prefix, ethertype) if prefix is not None else None
    return {
        "direction": body.direction,
        "ethertype": ethertype,
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": str(interface) if interface else None,
        "normalized_cidr": str(interface.network) if interface else None,
        "remote_group_id": remotes["remote_group_id"],
        "remote_address_group_id": remotes["remote_address_group_id"],
        "description": either(body.description, "") or "",
    }


def _ethertype(given: str | int | None) -> str:
    found = _ETHERTYPES.get(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise BadRequest(
            f"Security group rule for ethertype '{given}' not supported. Allowed values are ['IPv4', 'IPv6'].",
            kind="SecurityGroupRuleInvalidEtherType",
        )
    return found


def _prefix(text: str, ethertype: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise BadRequest(f"Invalid CIDR {text} given as IP prefix.", kind="InvalidCIDR") from None
    if getattr(found, "scope_id", None):
        raise BadRequest(f"Invalid CIDR {text} given as IP prefix: it has a zone.", kind="InvalidCIDR")
    if f"IPv{found.version}" != ethertype:
        raise BadRequest(
            f"Conflicting value ethertype {ethertype} for CIDR {text}", kind="SecurityGroupRuleParameterConflict"
        )
    return found


def meaning(rule: Mapping[Any, Any]) -> tuple[Any, ...]:
    """What a rule allows: two rules of one group that mean the same cannot both be."""
    number = number_of(rule["protocol"])
    prefix = rule["normalized_cidr"]
    return (
        rule["direction"],
        rule["ethertype"],
        58 if number == 1 and rule["ethertype"] == "IPv6" else number,
        rule["port_range_min"],
        rule["port_range_max"],
        None if prefix in ("0.0.0.0/0", "::/0") else prefix,
        rule["remote_group_id"],
        rule["remote_address_group_id"],
    )
