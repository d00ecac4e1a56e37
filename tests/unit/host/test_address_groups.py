"""Address groups as text for nftables: the fewest intervals, and the smallest change."""

from __future__ import annotations

import ipaddress
import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.network import address_groups, nft
from stackyard.host.specs import AddressGroupSpec

networks4 = st.builds(
    lambda number, length: str(ipaddress.ip_network((number, length), strict=False)),
    st.integers(0, 2**32 - 1), st.integers(0, 32),
)  # fmt: skip
GROUP = AddressGroupSpec(id="5f0c0000-0000-4000-8000-000000000000")


def group(*addresses: str) -> AddressGroupSpec:
    return msgspec.structs.replace(GROUP, addresses=addresses)


def test_a_change_is_one_of_elements_only() -> None:
    text = address_groups.apply_text(group("10.0.0.0/24", "fd00::/8"), group("10.0.0.0/25", "fd00::/8"))
    assert text == (
        "delete element bridge stackyard a4_5f0c00000000 { 10.0.0.0/25 }\n"
        "add element bridge stackyard a4_5f0c00000000 { 10.0.0.0/24 }\n"
    )
    assert address_groups.apply_text(group("10.0.0.1", "10.0.0.0/24"), group("10.0.0.0/24")) == ""


@given(st.lists(networks4, max_size=12))
def test_intervals_never_overlap_and_cover_the_same(given_: list[str]) -> None:
    found = sorted(map(ipaddress.IPv4Network, address_groups.addresses_by_version(group(*given_))[4]))
    assert all(one.broadcast_address < two.network_address for one, two in itertools.pairwise(found))
    assert all(any(ipaddress.IPv4Network(text).subnet_of(item) for item in found) for text in given_)
    assert all(any(item.supernet_of(ipaddress.IPv4Network(text)) for text in given_) for item in found)


def test_a_listing_tells_whether_the_sets_are_whole() -> None:
    spec = group("10.0.0.0/24", "10.1.0.1")
    document = """{"nftables": [{"rule": {"chain": "a_5f0c00000000", "comment": "addresses %s"}},
      {"set": {"name": "a6_5f0c00000000"}},
      {"set": {"name": "a4_5f0c00000000", "elem": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, "10.1.0.1"]}}]}"""
    listing = nft.parse_listing(document % spec.id)
    assert address_groups.ids(listing) == {spec.id}
    assert address_groups.is_whole(listing, spec)
    assert not address_groups.is_whole(listing, group("10.0.0.0/24"))
    assert not address_groups.is_whole(nft.Listing(), spec)
