"""Sets of addresses as prefixes: compact, subtract, cut a piece out. Pure functions on networks of one IP version."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from stackyard.services.network.addresses import IPNetwork, Pool

UNIT = {4: 32, 6: 64}
"""The prefix length that quotas count in: single IPv4 addresses, IPv6 networks of 64 bits."""


def compact(networks: Iterable[IPNetwork]) -> list[IPNetwork]:
    """The fewest prefixes that hold the same addresses, in order."""
    # The function's type says one version or the other, a caller has one that is only known at run time.
    given: Any = list(networks)
    return list(ipaddress.collapse_addresses(given))


def ranges(networks: Iterable[IPNetwork]) -> list[Pool]:
    """First and last addresses, in order; those that touch or overlap are one."""
    found: list[Pool] = []
    for first, last in sorted((int(n.network_address), int(n.broadcast_address)) for n in networks):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def subtract(networks: Iterable[IPNetwork], taken: Iterable[IPNetwork], version: int) -> list[IPNetwork]:
    """What of `networks` is not in `taken`: the fewest prefixes, in order."""
    left: list[Pool] = []
    gone = ranges(taken)
    index = 0
    for start, end in ranges(networks):
        begin = start
        while index < len(gone) and gone[index][1] < begin:
            index += 1
        at = index
        while at < len(gone) and gone[at][0] <= end:
            if begin < gone[at][0]:
                left.append((begin, gone[at][0] - 1))
            begin = gone[at][1] + 1
            at += 1
        if begin <= end:
            left.append((begin, end))
    return [network for pool in left for network in _summary(pool, version)]


def _summary(pool: Pool, version: int) -> Iterable[IPNetwork]:
    if version == 4:
        return ipaddress.summarize_address_range(ipaddress.IPv4Address(pool[0]), ipaddress.IPv4Address(pool[1]))
    return ipaddress.summarize_address_range(ipaddress.IPv6Address(pool[0]), ipaddress.IPv6Address(pool[1]))


def intersect(some: Iterable[IPNetwork], others: Iterable[IPNetwork]) -> bool:
    """Whether an address is in both."""
    one, other = ranges(some), ranges(others)
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i][1] < other[j][0]:
            i += 1
        elif other[j][1] < one[i][0]:
            j += 1
        else:
            return True
    return False


def covers(networks: Iterable[IPNetwork], others: Iterable[IPNetwork]) -> bool:
    """Whether every address of `others` is in `networks`."""
    whole = ranges(networks)
    return all(any(first <= a and b <= last for first, last in whole) for a, b in ranges(others))


def cut(free: Sequence[IPNetwork], prefixlen: int) -> IPNetwork | None:
    """A network of this length out of free prefixes, None when there is none.

    It comes from the smallest prefix that has room, so that large ones stay whole as long as can be.
    """
    fitting = [network for network in free if network.prefixlen <= prefixlen]
    if not fitting:
        return None
    best = max(fitting, key=lambda network: (network.prefixlen, -int(network.network_address)))
    first: IPNetwork
    for first in best.subnets(new_prefix=prefixlen):
        return first
    return None


def within(free: Iterable[IPNetwork], wanted: IPNetwork) -> bool:
    """Whether a network is all free."""
    return covers(free, [wanted])


def within_quota(version: int, quota: int, used: Iterable[IPNetwork], prefixlen: int) -> bool:
    """Whether a project with these networks of a pool may have one more of this length, under the pool's quota."""
    bits = 32 if version == 4 else 128
    amount = sum(network.num_addresses for network in used) + 2 ** (bits - prefixlen)
    return bool(amount <= quota * 2 ** (bits - UNIT[version]))
