"""What a subnet pool may be given: bodies, and the reading of prefixes and prefix lengths."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.addresses import IPNetwork, read_network
from stackyard.services.network.resources import Flag, Text, flag, integer
from stackyard.services.network.subnetpools import prefixes as sets

Number = int | str
"""A whole number as clients write it: also as text. Read with `integer`."""

_LONGEST = {4: 32, 6: 128}
_SHORTEST_BY_DEFAULT = {4: 8, 6: 64}
_LARGEST_QUOTA = 2**63 - 1
_MOST_PREFIXES = 1000
"""All of them are looked at whenever a subnet is cut out, so that a pool with many more would hold others up."""


class PoolFields(Body):
    """What a pool may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    prefixes: list[str] | UnsetType = UNSET
    default_prefixlen: Number | UnsetType = UNSET
    min_prefixlen: Number | UnsetType = UNSET
    max_prefixlen: Number | UnsetType = UNSET
    default_quota: Number | UnsetType | None = UNSET
    is_default: Flag | UnsetType = UNSET
    address_scope_id: Text | UnsetType | None = UNSET


class NewPool(PoolFields, kw_only=True):
    """The body of a POST."""

    name: Text
    prefixes: list[str]
    shared: Flag | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class PrefixesBody(Body):
    """Prefixes to add or to remove; the whole body, without an envelope."""

    prefixes: list[str]


class OnboardBody(Body):
    """The network whose subnets a pool is to take over; the whole body, without an envelope."""

    network_id: Text | UnsetType | None = UNSET


def read_prefixes(given: Sequence[str]) -> list[IPNetwork]:
    """Prefixes of one IP version, compacted; raises Neutron's faults."""
    check_number(given)
    found = [read_network(f"prefixes[{index}]", text) for index, text in enumerate(given)]
    if not found:
        raise BadRequest("Empty subnet pool prefix list.", kind="EmptySubnetPoolPrefixList")
    if len(set(found)) != len(found):
        raise InvalidField("prefixes", "duplicate items are not allowed.")
    if len({network.version for network in found}) > 1:
        raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
    return sets.compact(found)


def check_number(prefixes: Sequence[object]) -> None:
    """Raise InvalidField for more prefixes than a pool may have."""
    if len(prefixes) > _MOST_PREFIXES:
        raise InvalidField("prefixes", f"a subnet pool has at most {_MOST_PREFIXES} prefixes.")


def stored(networks: Sequence[IPNetwork]) -> list[str]:
    """Prefixes as rows keep them and the API shows them."""
    return [str(network) for network in networks]


def loaded(texts: Sequence[str]) -> list[IPNetwork]:
    """Prefixes out of a row."""
    return [ipaddress.ip_network(text) for text in texts]


def read_lengths(body: PoolFields, version: int, known: Mapping[str, int]) -> dict[str, int]:
    """The three prefix lengths, as given, as they are in `known`, or by default; raises IllegalSubnetPoolPrefixBounds.

    Networks are at least `min_prefixlen` and at most `max_prefixlen` long; the default is the minimum.
    """
    longest = _LONGEST[version]
    least = _length(body, "min_prefixlen", known, _SHORTEST_BY_DEFAULT[version])
    most = _length(body, "max_prefixlen", known, longest)
    usual = _length(body, "default_prefixlen", known, least)
    if least > most:
        raise _bounds("min_prefixlen", least, "max_prefixlen", most)
    if most > longest:
        raise _bounds("max_prefixlen", most, "ip_version_max", longest)
    if usual < least:
        raise _bounds("default_prefixlen", usual, "min_prefixlen", least)
    if usual > most:
        raise _bounds("default_prefixlen", usual, "max_prefixlen", most)
    return {"min_prefixlen": least, "max_prefixlen": most, "default_prefixlen": usual}


def _length(body: PoolFields, name: str, known: Mapping[str, int], default: int) -> int:
    given = getattr(body, name)
    if given is UNSET:
        return known.get(name, default)
    number = integer(name, given)
    if number < 0:
        raise InvalidField(name, f"'{number}' should be non-negative.")
    return number


def _bounds(name: str, length: int, other: str, bound: int) -> BadRequest:
    return BadRequest(f"Illegal prefix bounds: {name}={length}, {other}={bound}.", kind="IllegalSubnetPoolPrefixBounds")


def read_quota(given: Number | None) -> int | None:
    """A quota of addresses (IPv4) or networks of 64 bits (IPv6) for each project; None for none."""
    if given is None:
        return None
    number = integer("default_quota", given)
    if not 0 <= number <= _LARGEST_QUOTA:
        raise InvalidField("default_quota", f"'{given}' should be non-negative and at most {_LARGEST_QUOTA}.")
    return number


def plain_changes(body: PoolFields) -> dict[str, Any]:
    """Those fields that need no look at anything else."""
    changes: dict[str, Any] = {}
    if body.name is not UNSET:
        if not body.name.strip():
            raise InvalidField("name", "it must not be empty.")
        changes["name"] = body.name
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    if body.default_quota is not UNSET:
        changes["default_quota"] = read_quota(body.default_quota)
    if body.is_default is not UNSET:
        changes["is_default"] = flag("is_default", body.is_default, default=False)
    return changes
