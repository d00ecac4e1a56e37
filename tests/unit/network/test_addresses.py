"""Pools, keys, gateways and interface identifiers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import BadRequest, Conflict, InvalidField
from stackyard.services.network import addresses, allocation

NETWORKS_V4 = st.builds(
    lambda number, prefix: ipaddress.ip_network((number, prefix), strict=False),
    st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(16, 30),
)


@given(NETWORKS_V4, st.data())
def test_default_pools_are_all_hosts_but_the_gateway(network: ipaddress.IPv4Network, data: st.DataObject) -> None:
    first, last = addresses.usable(network)
    gateway = ipaddress.ip_address(data.draw(st.integers(first, last)))
    pools = addresses.default_pools(network, gateway)
    assert allocation.size(pools) == last - first
    assert all(not start <= int(gateway) <= end for start, end in pools)
    assert all(start <= end for start, end in pools)


@given(NETWORKS_V4, st.data())
def test_every_number_draws_another_address_of_the_pools(network: ipaddress.IPv4Network, data: st.DataObject) -> None:
    first, last = addresses.usable(network)
    middle = data.draw(st.integers(first, last))
    pools = addresses.default_pools(network, ipaddress.ip_address(middle))
    count = allocation.size(pools)
    numbers = data.draw(st.lists(st.integers(0, max(0, count - 1)), unique=True, max_size=20)) if count else []
    drawn = [allocation.draw(pools, number) for number in numbers]
    assert len(set(drawn)) == len(drawn)
    assert all(any(start <= address <= end for start, end in pools) for address in drawn)


def test_there_is_no_address_past_the_last() -> None:
    with pytest.raises(IndexError):
        allocation.draw([(1, 2), (5, 5)], 3)


@given(st.sets(st.integers(10, 40)), st.integers(10, 30))
def test_the_first_gap_is_the_lowest_free_address(taken: set[int], end: int) -> None:
    known = sorted(address for address in taken if address <= end)
    free = [address for address in range(10, end + 1) if address not in taken]
    assert allocation.first_gap(known, 10, end) == (free[0] if free else None)


@given(st.sets(st.integers(10, 60)), st.integers(10, 40))
def test_the_gaps_are_all_free_addresses_in_order(taken: set[int], end: int) -> None:
    free = [address for address in range(10, end + 1) if address not in taken]
    assert list(allocation.gaps(sorted(taken), 10, end)) == free


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([4, 6]))
def test_keys_sort_as_addresses_do(one: int, two: int, version: int) -> None:
    keys = addresses.key_of(one, version), addresses.key_of(two, version)
    assert (keys[0] < keys[1]) == (one < two)
    assert addresses.text_of(int(keys[0], 16), version) == str(ipaddress.ip_address(addresses.text_of(one, version)))


def test_interface_addresses_are_modified_eui_64() -> None:
    assert addresses.interface_address("2001:db8::/64", "fa:16:3e:00:00:01") == "2001:db8::f816:3eff:fe00:1"


def test_new_macs_are_unicast_and_differ() -> None:
    macs = {addresses.new_mac() for _ in range(100)}
    assert len(macs) > 90
    for mac in macs:
        assert mac.startswith("fa:16:3e:")
        assert addresses.read_mac("mac_address", mac) == mac


@pytest.mark.parametrize("text", ["", "fa:16:3e:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "zz:16:3e:00:00:01"])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="not a valid MAC"):
        addresses.read_mac("mac_address", text)


@pytest.mark.parametrize(
    ("pools", "kind"),
    [
        ([("10.0.0.10", "10.0.0.20"), ("10.0.0.20", "10.0.0.30")], "OverlappingAllocationPools"),
        ([("10.0.0.10", "10.0.1.20")], "OutOfBoundsAllocationPool"),
        ([("10.0.0.0", "10.0.0.20")], "OutOfBoundsAllocationPool"),
        ([("10.0.0.20", "10.0.0.10")], "InvalidAllocationPool"),
        ([("10.0.0.20", "fd00::1")], "InvalidAllocationPool"),
        ([("here", "there")], "InvalidAllocationPool"),
    ],
)
def test_pools_that_cannot_be_are_refused(pools: list[tuple[str, str]], kind: str) -> None:
    given_pools = [{"start": start, "end": end} for start, end in pools]
    with pytest.raises((BadRequest, Conflict)) as caught:
        addresses.read_pools(ipaddress.ip_network("10.0.0.0/24"), given_pools)
    assert caught.value.kind == kind


def test_pools_are_kept_as_they_were_given() -> None:
    stored = [{"start": "10.0.0.5", "end": "10.0.0.9"}, {"start": "10.0.0.20", "end": "10.0.0.20"}]
    pools = addresses.read_pools(ipaddress.ip_network("10.0.0.0/24"), stored)
    assert addresses.stored_pools(pools, 4) == stored
    assert addresses.loaded_pools(stored) == pools


@pytest.mark.parametrize("text", ["10.0.0.5/24", "10.0.0.0", "10.0.0.0/33", "x", "fe80::%eth0/64", "10.0.0.0/x"])
def test_what_is_no_cidr_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        addresses.read_network("cidr", text)


@pytest.mark.parametrize("gateway", ["10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"])
def test_a_gateway_is_a_host_of_its_subnet(gateway: str) -> None:
    with pytest.raises(BadRequest):
        addresses.check_gateway(ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_address(gateway))
