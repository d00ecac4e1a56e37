"""Sets of addresses as prefixes: what holds of compacting, subtracting and cutting, whatever the prefixes are."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import BadRequest
from stackyard.services.network.addresses import IPNetwork
from stackyard.services.network.subnetpools import prefixes
from stackyard.services.network.subnetpools.bodies import PoolFields, read_lengths, read_prefixes

_BASE = {4: int(ipaddress.IPv4Address("10.0.0.0")), 6: int(ipaddress.IPv6Address("fd00::"))}
_BITS = {4: 32, 6: 128}


def network(version: int, offset: int, length: int) -> IPNetwork:
    """A network among the 256 addresses after the base, so that sets can be compared address by address."""
    address = (_BASE[version] + offset) >> length << length
    kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    return kind((address, _BITS[version] - length))


def several(version: int) -> st.SearchStrategy[list[IPNetwork]]:
    return st.lists(st.builds(network, st.just(version), st.integers(0, 255), st.integers(0, 6)), max_size=8)


pairs = st.sampled_from([4, 6]).flatmap(lambda version: st.tuples(st.just(version), several(version), several(version)))


def held(networks: list[IPNetwork]) -> set[int]:
    return {number for one in networks for number in range(int(one.network_address), int(one.broadcast_address) + 1)}


@given(pairs)
def test_compact_keeps_every_address_and_no_prefix_that_could_be_joined(
    drawn: tuple[int, list[IPNetwork], object],
) -> None:
    _, networks, _ = drawn
    found = prefixes.compact(networks)
    assert held(found) == held(networks)
    assert sum(one.num_addresses for one in found) == len(held(networks))
    for before, after in itertools.pairwise(found):
        assert not (before.prefixlen == after.prefixlen and before.supernet() == after.supernet())


@given(pairs)
def test_subtract_leaves_exactly_the_rest(drawn: tuple[int, list[IPNetwork], list[IPNetwork]]) -> None:
    version, whole, taken = drawn
    left = prefixes.subtract(whole, taken, version)
    assert held(left) == held(whole) - held(taken)
    assert prefixes.intersect(whole, taken) == bool(held(whole) & held(taken))
    assert prefixes.covers(whole, taken) == (held(taken) <= held(whole))
    assert not prefixes.intersect(left, taken)


@given(pairs, st.integers(0, 6))
def test_cut_takes_the_smallest_prefix_that_has_room(
    drawn: tuple[int, list[IPNetwork], list[IPNetwork]], length: int
) -> None:
    version, whole, taken = drawn
    free = prefixes.subtract(whole, taken, version)
    prefixlen = _BITS[version] - length
    found = prefixes.cut(free, prefixlen)
    if found is None:
        assert all(one.prefixlen > prefixlen for one in free)
        return
    assert found.prefixlen == prefixlen
    assert prefixes.within(free, found)
    home = next(one for one in free if held([found]) <= held([one]))
    assert home.prefixlen == max(one.prefixlen for one in free if one.prefixlen <= prefixlen)


@given(st.integers(24, 32), st.integers(0, 300))
def test_cutting_on_and_on_gives_disjoint_networks_until_nothing_has_room(prefixlen: int, quota: int) -> None:
    pool = [ipaddress.ip_network("10.0.0.0/25"), ipaddress.ip_network("10.0.1.0/27")]
    given_out: list[IPNetwork] = []
    while prefixes.within_quota(4, quota, given_out, prefixlen):
        found = prefixes.cut(prefixes.subtract(pool, given_out, 4), prefixlen)
        if found is None:
            break
        assert not prefixes.intersect(given_out, [found])
        given_out.append(found)
    assert sum(one.num_addresses for one in given_out) <= quota
    assert prefixes.covers(pool, given_out)


def test_the_quota_counts_addresses_and_networks_of_64_bits() -> None:
    assert prefixes.within_quota(4, 256, [], 24)
    assert not prefixes.within_quota(4, 255, [], 24)
    assert not prefixes.within_quota(4, 300, [ipaddress.ip_network("10.0.0.0/26")], 24)
    assert prefixes.within_quota(6, 1, [], 64)
    assert prefixes.within_quota(6, 1, [ipaddress.ip_network("fd00::/65")], 65)
    assert not prefixes.within_quota(6, 1, [ipaddress.ip_network("fd00::/65")], 64)


def test_prefix_lengths_by_default() -> None:
    assert read_lengths(PoolFields(), 4, {}) == {"min_prefixlen": 8, "max_prefixlen": 32, "default_prefixlen": 8}
    assert read_lengths(PoolFields(), 6, {}) == {"min_prefixlen": 64, "max_prefixlen": 128, "default_prefixlen": 64}


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_prefix_lengths_stand_in_order_or_are_refused(least: int, usual: int, most: int) -> None:
    body = PoolFields(min_prefixlen=least, default_prefixlen=usual, max_prefixlen=most)
    if least <= usual <= most <= 32:
        assert read_lengths(body, 4, {})["default_prefixlen"] == usual
        return
    with pytest.raises(BadRequest) as raised:
        read_lengths(body, 4, {})
    assert raised.value.kind == "IllegalSubnetPoolPrefixBounds"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([], "EmptySubnetPoolPrefixList"),
        (["10.0.0.0/8", "fd00::/48"], "PrefixVersionMismatch"),
        (["10.0.0.0/8", "10.0.0.0/8"], "InvalidField"),
        (["10.0.0.1/8"], "InvalidField"),
        (["10.0.0.0"], "InvalidField"),
        (["x"], "InvalidField"),
        (["fe80::%eth0/64"], "InvalidField"),
    ],
)
def test_prefixes_that_cannot_be(texts: list[str], kind: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_prefixes(texts)
    assert raised.value.kind == kind
