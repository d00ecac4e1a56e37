"""Security groups: rules as nftables text, the change from one spec to the next, which connections are still allowed.

Pure. A group is two chains (egress, ingress) that ports' chains jump to, and two sets with its members' addresses
(IPv4, IPv6) that other groups' rules look into.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from stackyard.host.network import address_groups, checks
from stackyard.host.network.conntrack import Connection
from stackyard.host.network.filter import MAY_SEND, TABLE, group_chain, member_set
from stackyard.host.network.nft import Chain
from stackyard.host.specs import AddressGroupSpec, SecurityGroupSpec, SecurityRule

DIRECTIONS = ("egress", "ingress")


@dataclass
class Remotes:
    """Who is meant by rules that name groups: each group is read once, however many connections ask."""

    groups: Mapping[str, SecurityGroupSpec]
    address_groups: Mapping[str, AddressGroupSpec] = field(default_factory=dict)
    _members: dict[str, frozenset[str]] = field(default_factory=dict)
    _networks: dict[str, tuple[checks.IPNetwork, ...]] = field(default_factory=dict)

    def has_member(self, group_id: str, address: str) -> bool:
        """Whether the address is one of the security group's members, or may be: the group is not known yet."""
        if group_id not in self._members:
            spec = self.groups.get(group_id)
            if spec is None:
                return True
            self._members[group_id] = frozenset().union(*members_by_version(spec).values())
        return address in self._members[group_id]

    def has_address(self, address_group_id: str, address: str) -> bool:
        """Whether the address lies in the address group, or may do: the group is not known yet."""
        if address_group_id not in self._networks:
            spec = self.address_groups.get(address_group_id)
            if spec is None:
                return True
            self._networks[address_group_id] = tuple(map(checks.network, spec.addresses))
        found = checks.address(address)
        return any(found in network for network in self._networks[address_group_id])


@lru_cache(maxsize=1 << 14)
def rule_text(rule: SecurityRule) -> str:
    """One rule, as nftables reads it."""
    family, field = ("ip", "ip") if rule.ethertype == 4 else ("ip6", "ip6")
    side = "saddr" if rule.direction == "ingress" else "daddr"
    words = [f"ether type {family}"]
    if rule.remote_group is not None:
        words.append(f"{field} {side} @{member_set(rule.remote_group, rule.ethertype)}")
    elif rule.remote_address_group is not None:
        words.append(f"{field} {side} @{address_groups.address_set(rule.remote_address_group, rule.ethertype)}")
    elif rule.remote_cidr is not None:
        remote = checks.network(rule.remote_cidr)
        if remote.prefixlen:
            words.append(f"{field} {side} {remote}")
    number = checks.protocol(rule)
    if number in (1, 58):
        words += _icmp_words(rule, "icmp" if number == 1 else "icmpv6", number)
    elif number is not None:
        words.append(f"meta l4proto {number}")
        if rule.port_min is not None or rule.port_max is not None:
            low, high = _port_range(rule)
            words.append(f"th dport {low}" if low == high else f"th dport {low}-{high}")
    return " ".join((*words, "accept" if rule.direction == "ingress" else MAY_SEND))


def _icmp_words(rule: SecurityRule, name: str, number: int) -> list[str]:
    if rule.port_min is None:
        return [f"meta l4proto {number}"]
    words = [f"{name} type {rule.port_min}"]
    if rule.port_max is not None:
        words.append(f"{name} code {rule.port_max}")
    return words


def _port_range(rule: SecurityRule) -> tuple[int, int]:
    low = rule.port_min if rule.port_min is not None else 0
    return low, rule.port_max if rule.port_max is not None else 65535


def group_chains(spec: SecurityGroupSpec) -> tuple[Chain, ...]:
    """The group's two chains. The note in them tells a group that was applied from one that a port merely names."""
    return tuple(
        Chain(
            group_chain(spec.id, direction),
            tuple(dict.fromkeys(rule_text(rule) for rule in spec.rules if rule.direction == direction)),
            note=f"group {spec.id}",
            ordered=False,
        )
        for direction in DIRECTIONS
    )


def members_by_version(spec: SecurityGroupSpec) -> dict[int, frozenset[str]]:
    """The members' addresses, IPv4 and IPv6 apart, in canonical form."""
    found: dict[int, set[str]] = {4: set(), 6: set()}
    for text in spec.members:
        item = checks.address(text)
        found[item.version].add(str(item))
    return {version: frozenset(items) for version, items in found.items()}


def _declare_sets(group_id: str) -> str:
    return "".join(
        f"add set {TABLE} {member_set(group_id, version)} {{ type {kind}; }}\n"
        for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
    )


def _element_text(verb: str, group_id: str, version: int, items: frozenset[str]) -> str:
    if not items:
        return ""
    return f"{verb} element {TABLE} {member_set(group_id, version)} {{ {', '.join(sorted(items))} }}\n"


Handles = Callable[[str], Mapping[str, int]]
"""Gives the handles of a chain's rules by their comments."""


def apply_text(spec: SecurityGroupSpec, before: SecurityGroupSpec | None, handles: Handles) -> str:
    """The transaction that leads from `before` to `spec`; without `before`, from anything."""
    lines: list[str] = []
    if before is None:
        lines += [_declare_sets(spec.id)]
        lines += [f"flush set {TABLE} {member_set(spec.id, version)}\n" for version in (4, 6)]
    if before is None or before.members != spec.members:
        old_members = members_by_version(before) if before else {4: frozenset(), 6: frozenset()}
        for version, items in members_by_version(spec).items():
            lines.append(_element_text("delete", spec.id, version, old_members[version] - items))
            lines.append(_element_text("add", spec.id, version, items - old_members[version]))
    old_chains = {chain.name: chain for chain in group_chains(before)} if before else {}
    changed = [chain for chain in group_chains(spec) if old_chains.get(chain.name) != chain]
    if changed:
        remotes = {rule.remote_group for rule in spec.rules if rule.remote_group is not None}
        lines += [_declare_sets(group) for group in sorted(remotes)]
        named = {rule.remote_address_group for rule in spec.rules if rule.remote_address_group is not None}
        lines += [address_groups.declare_text(group) for group in sorted(named)]
        lines += [_chain_text(chain, old_chains.get(chain.name), handles) for chain in changed]
    return "".join(lines)


def _chain_text(chain: Chain, before: Chain | None, handles: Handles) -> str:
    if before is None:
        return chain.text(TABLE)
    taken = set(before.rules) - set(chain.rules)
    return chain.change_text(TABLE, before, handles(chain.name) if taken else {})


def clear_text(group_id: str) -> str:
    """Empty the group: whoever still names it gets nothing from it."""
    chains = "".join(Chain(group_chain(group_id, direction)).text(TABLE) for direction in DIRECTIONS)
    sets = "".join(f"flush set {TABLE} {member_set(group_id, version)}\n" for version in (4, 6))
    return chains + _declare_sets(group_id) + sets


def delete_texts(group_id: str) -> tuple[str, ...]:
    """Transactions that delete the emptied group's parts; each fails, harmlessly, while something names the part."""
    chains = [f"delete chain {TABLE} {group_chain(group_id, direction)}\n" for direction in DIRECTIONS]
    sets = [f"delete set {TABLE} {member_set(group_id, version)}\n" for version in (4, 6)]
    return (*chains, *sets)


def allows(rule: SecurityRule, connection: Connection, remotes: Remotes) -> bool:
    """Whether the rule lets the connection's first packet pass."""
    if rule.ethertype != connection.version or not _remote_matches(rule, connection, remotes):
        return False
    number = checks.protocol(rule)
    if number is None:
        return True
    if number != connection.protocol:
        return False
    if number in (1, 58):
        return rule.port_min in (None, connection.icmp_type) and rule.port_max in (None, connection.icmp_code)
    if rule.port_min is None and rule.port_max is None:
        return True
    low, high = _port_range(rule)
    return low <= connection.destination_port <= high


def _remote_matches(rule: SecurityRule, connection: Connection, remotes: Remotes) -> bool:
    remote = connection.source if rule.direction == "ingress" else connection.destination
    if rule.remote_group is not None:
        return remotes.has_member(rule.remote_group, remote)
    if rule.remote_address_group is not None:
        return remotes.has_address(rule.remote_address_group, remote)
    return rule.remote_cidr is None or ipaddress.ip_address(remote) in checks.network(rule.remote_cidr)
