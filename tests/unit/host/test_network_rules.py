"""The network driver's pure parts: names, rules as text, and which connections rules allow."""

from __future__ import annotations

import ipaddress
import re
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.errors import SpecError
from stackyard.host.network import checks, names, nft, router_rules, security_groups
from stackyard.host.network import filter as rules
from stackyard.host.network.connections import shrank
from stackyard.host.network.conntrack import Connection
from stackyard.host.network.host_side import table_chains
from stackyard.host.specs import (
    Address,
    AddressGroupSpec,
    AddressPair,
    FloatingIPSpec,
    NetworkSpec,
    PortSpec,
    RouterGateway,
    RouterSpec,
    SecurityGroupSpec,
    SecurityRule,
    SubnetSpec,
)

ids = st.uuids().map(str)
addresses4 = st.ip_addresses(v=4).map(str)
addresses6 = st.ip_addresses(v=6).map(str)
macs = st.binary(min_size=5, max_size=5).map(lambda data: "02:" + data.hex(":"))


@st.composite
def valid_rules(draw: st.DrawFn) -> SecurityRule:
    version = draw(st.sampled_from((4, 6)))
    protocol = draw(st.sampled_from((None, "tcp", "udp", "sctp", "icmp", "47", "vrrp", "any")))
    low = high = None
    if protocol in ("tcp", "udp", "sctp"):
        ports = draw(st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535)))
        low, high = sorted(ports) if ports else (None, None)
    elif protocol == "icmp":
        low = draw(st.none() | st.integers(0, 255))
        high = draw(st.none() | st.integers(0, 255)) if low is not None else None
    remote = draw(st.sampled_from(("none", "cidr", "group")))
    address = draw(addresses4 if version == 4 else addresses6)
    length = draw(st.integers(0, 32 if version == 4 else 128))
    return SecurityRule(
        direction=draw(st.sampled_from(("ingress", "egress"))), ethertype=version, protocol=protocol, port_min=low,
        port_max=high, remote_cidr=f"{address}/{length}" if remote == "cidr" else None,
        remote_group=draw(ids) if remote == "group" else None,
    )  # fmt: skip


def test_device_names_fit_and_differ_by_kind() -> None:
    identifier = str(uuid.uuid4())
    made = [
        names.bridge(identifier), names.port(identifier), names.router_leg(identifier), names.inner_leg(identifier),
        names.inner_gateway(identifier), names.server_leg(identifier), names.external_leg(identifier),
        names.host_leg("a1b2c3d4", identifier),
    ]  # fmt: skip
    assert len(set(made)) == len(made)
    assert all(len(name) <= 15 for name in made)


@given(st.text(min_size=1, max_size=64))
def test_an_id_is_refused_or_harmless_in_a_kernel_name(text: str) -> None:
    try:
        identifier = names.check_id(text)
    except SpecError:
        return
    assert re.fullmatch(r"syp[0-9a-f]{12}", names.port(identifier))
    alias = names.Alias("cloud", "port", identifier, identifier)
    assert names.parse_alias(str(alias)) == alias


@pytest.mark.parametrize("text", [None, "", "eth0", "stackyard", "stackyard a b c", "other a b c d e"])
def test_a_strangers_alias_is_nobodys(text: str | None) -> None:
    assert names.parse_alias(text) is None


@given(st.text(max_size=30))
def test_no_text_passes_as_an_address_unless_it_is_one(text: str) -> None:
    for read in (checks.address, checks.network):
        try:
            found = read(text)
        except SpecError:
            continue
        assert re.fullmatch(r"[0-9a-f.:/]+", str(found))


@given(valid_rules())
def test_a_valid_rule_becomes_one_harmless_line(rule: SecurityRule) -> None:
    checks.check_rule(rule)
    text = security_groups.rule_text(rule)
    end = "accept" if rule.direction == "ingress" else re.escape(rules.MAY_SEND)
    assert re.fullmatch(rf"[a-z0-9 .:/@_-]+ {end}", text)
    assert text.startswith("ether type ip ") == (rule.ethertype == 4)
    side = "saddr" if rule.direction == "ingress" else "daddr"
    if rule.remote_group:
        assert f"{side} @m{rule.ethertype}_{names.short(rule.remote_group)}" in text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (SecurityRule(direction="ingress", ethertype=4), "ether type ip accept"),
        (SecurityRule(direction="egress", ethertype=6, protocol="any"), f"ether type ip6 {rules.MAY_SEND}"),
        (
            SecurityRule(direction="ingress", ethertype=4, protocol="tcp", port_min=80, port_max=80),
            "ether type ip meta l4proto 6 th dport 80 accept",
        ),
        (
            SecurityRule(
                direction="egress", ethertype=4, protocol="udp", port_min=1, port_max=9, remote_cidr="10.0.0.7/8"
            ),
            f"ether type ip ip daddr 10.0.0.0/8 meta l4proto 17 th dport 1-9 {rules.MAY_SEND}",
        ),
        (
            SecurityRule(
                direction="ingress", ethertype=4, protocol="icmp", port_min=8, port_max=0, remote_cidr="0.0.0.0/0"
            ),
            "ether type ip icmp type 8 icmp code 0 accept",
        ),
        (
            SecurityRule(direction="ingress", ethertype=6, protocol="icmp", port_min=128),
            "ether type ip6 icmpv6 type 128 accept",
        ),
        (SecurityRule(direction="ingress", ethertype=6, protocol="icmp"), "ether type ip6 meta l4proto 58 accept"),
        (SecurityRule(direction="ingress", ethertype=4, protocol="vrrp"), "ether type ip meta l4proto 112 accept"),
    ],
)
def test_rules_read_as_expected(rule: SecurityRule, text: str) -> None:
    assert security_groups.rule_text(rule) == text


def group(*items: SecurityRule, members: tuple[str, ...] = ()) -> SecurityGroupSpec:
    return SecurityGroupSpec(id="5f0c0000-0000-4000-8000-000000000001", rules=items, members=members)


EGRESS, INGRESS = (SecurityRule(direction=direction, ethertype=4) for direction in ("egress", "ingress"))


def no_handles(chain: str) -> dict[str, int]:
    return {}


def test_one_rule_touches_one_chain_and_one_member_one_element() -> None:
    before = group(EGRESS, members=("10.0.0.1",))
    text = security_groups.apply_text(group(EGRESS, INGRESS, members=("10.0.0.1",)), before, no_handles)
    rule = "ether type ip accept"
    assert text == f'add rule bridge stackyard g_5f0c00000000_i {rule} comment "{nft.digest(rule)}"\n'
    text = security_groups.apply_text(group(EGRESS, members=("10.0.0.1", "10.0.0.2")), before, no_handles)
    assert text == "add element bridge stackyard m4_5f0c00000000 { 10.0.0.2 }\n"
    text = security_groups.apply_text(group(EGRESS, members=("fd00::1",)), before, no_handles)
    assert "delete element bridge stackyard m4_5f0c00000000 { 10.0.0.1 }" in text
    assert "add element bridge stackyard m6_5f0c00000000 { fd00::1 }" in text
    assert security_groups.apply_text(before, before, no_handles) == ""


def test_a_rule_is_taken_out_by_its_handle_or_with_the_whole_chain() -> None:
    tcp = msgspec.structs.replace(INGRESS, protocol="tcp")
    before, after = group(INGRESS, tcp), group(INGRESS)
    handle = {nft.digest(security_groups.rule_text(tcp)): 42}
    text = security_groups.apply_text(after, before, lambda chain: handle)
    assert text == "delete rule bridge stackyard g_5f0c00000000_i handle 42\n"
    assert "flush chain" in security_groups.apply_text(after, before, no_handles)


def test_the_rules_of_a_group_may_stand_in_any_order() -> None:
    _, chain = security_groups.group_chains(group(INGRESS, msgspec.structs.replace(INGRESS, protocol="tcp")))
    note, one, two = chain.comments()
    assert nft.Listing({chain.name: (note, two, one)}).holds(chain)
    assert not nft.Listing({chain.name: (one, two, note)}).holds(chain)
    assert not nft.Listing({chain.name: (note, one)}).holds(chain)
    assert not nft.Listing({chain.name: (note, one, one)}).holds(chain)


def test_a_group_shrinks_by_a_rule_or_a_member_less() -> None:
    full = group(EGRESS, INGRESS, members=("10.0.0.1",))
    assert not shrank(full, group(EGRESS, members=("10.0.0.1",)))
    assert shrank(group(EGRESS, members=("10.0.0.1",)), full)
    assert shrank(group(EGRESS, INGRESS), full)
    assert shrank(full, None)


CONNECTION = Connection(4, 1, 6, "10.0.0.5", "10.0.0.6", 40000, 80)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"protocol": "tcp"}, True),
        ({"protocol": "tcp", "port_min": 80, "port_max": 80}, True),
        ({"protocol": "tcp", "port_min": 81, "port_max": 90}, False),
        ({"protocol": "udp"}, False),
        ({"ethertype": 6}, False),
        ({"remote_cidr": "10.0.0.0/30"}, False),
        ({"remote_cidr": "10.0.0.4/30"}, True),
        ({"remote_group": "friends"}, True),
        ({"remote_group": "strangers"}, False),
        ({"remote_address_group": "offices"}, True),
        ({"remote_address_group": "elsewhere"}, False),
        ({"remote_group": "not known yet"}, True),
        ({"remote_address_group": "not known yet"}, True),
    ],
)
def test_a_rule_allows_what_it_says(options: dict[str, object], expected: bool) -> None:
    rule = msgspec.structs.replace(INGRESS, **options)
    friends = SecurityGroupSpec(id="friends", members=("10.0.0.5",))
    offices = AddressGroupSpec(id="offices", addresses=("192.0.2.0/24", "10.0.0.4/31", "fd00::/8"))
    strangers, elsewhere = SecurityGroupSpec(id="strangers"), AddressGroupSpec(id="elsewhere")
    groups = {"friends": friends, "strangers": strangers}
    remotes = security_groups.Remotes(groups, {"offices": offices, "elsewhere": elsewhere})
    assert security_groups.allows(rule, CONNECTION, remotes) is expected


@pytest.mark.parametrize(("kind", "code", "expected"), [(8, 0, True), (8, None, True), (0, None, False), (8, 1, False)])
def test_icmp_rules_compare_type_and_code(kind: int, code: int | None, expected: bool) -> None:
    rule = msgspec.structs.replace(INGRESS, protocol="icmp", port_min=kind, port_max=code)
    echo = Connection(4, 1, 1, "10.0.0.5", "10.0.0.6", icmp_type=8, icmp_code=0)
    assert security_groups.allows(rule, echo, security_groups.Remotes({})) is expected


@given(
    st.lists(addresses4, max_size=4), st.lists(addresses6, max_size=4), macs,
    st.lists(st.tuples(addresses4 | addresses6, st.none() | macs), max_size=4),
)  # fmt: skip
def test_a_ports_filter_is_made_of_harmless_lines(
    four: list[str], six: list[str], mac: str, pairs: list[tuple[str, str | None]]
) -> None:
    spec = PortSpec(
        id=str(uuid.uuid4()), network_id="n", mac=mac, netns="/run/netns/x",
        addresses=tuple(Address(ip=ip, prefix_length=24) for ip in (*four, *six)),
        allowed_pairs=tuple(AddressPair(ip=ip, mac=other) for ip, other in pairs), security_groups=("web",),
    )  # fmt: skip
    checks.check_port(spec)
    for chain in rules.port_chains(spec):
        assert chain.rules[-1] == ("meta mark & 4 == 0 drop" if chain.name.startswith("e_") else "drop")
        assert all(re.fullmatch(r"[A-Za-z0-9 .:/@_,{}!=&-]+", rule) for rule in chain.rules)
    spoof = "\n".join(rules.spoof_rules(spec))
    for ip in four:
        covering = [ipaddress.ip_network(item) for item in re.findall(r"[0-9]+(?:\.[0-9]+){3}/[0-9]+", spoof)]
        assert any(ipaddress.ip_address(ip) in item for item in covering)


def test_a_link_local_address_comes_from_the_mac() -> None:
    assert str(rules.link_local("fa:16:3e:00:00:01")) == "fe80::f816:3eff:fe00:1"


def test_a_changed_chain_is_told_by_its_comments() -> None:
    chain = nft.Chain("c", ("tcp dport 80 accept", "drop"), note="group x")
    tags = chain.comments()
    assert tags[0] == "group x"
    assert nft.Listing({"c": tags}).holds(chain)
    assert not nft.Listing({"c": tags[:-1]}).holds(chain)
    assert not nft.Listing({"c": tags}).holds(nft.Chain("c", ("tcp dport 81 accept", "drop"), note="group x"))
    assert not nft.Listing().holds(chain)


def test_a_listing_is_read_whatever_form_its_elements_have() -> None:
    document = """{"nftables": [{"metainfo": {}}, {"chain": {"name": "a"}},
      {"rule": {"chain": "a", "comment": "one"}}, {"rule": {"chain": "a"}},
      {"map": {"name": "m", "elem": [["eth0", {"goto": {"target": "a"}}]]}},
      {"set": {"name": "s", "elem": ["10.0.0.1", {"elem": {"val": "10.0.0.2", "comment": "x"}}]}},
      {"set": {"name": "empty"}}]}"""
    listing = nft.parse_listing(document)
    assert listing.chains == {"a": ("one", "")}
    assert listing.has("m", "eth0")
    assert listing.elements["s"] == {"10.0.0.1", "10.0.0.2"}
    assert not listing.has("empty", "x")


GATEWAY = RouterGateway(
    port_id="g", network_id="x", mac="02:00:00:00:00:01",
    addresses=(Address(ip="198.18.0.5", prefix_length=24), Address(ip="fd09::5", prefix_length=64)),
)  # fmt: skip


def router(*floating: tuple[str, str], snat: bool = True) -> RouterSpec:
    items = tuple(FloatingIPSpec(id=one, floating_ip=one, fixed_ip=two) for one, two in floating)
    return RouterSpec(id="r", gateways=(msgspec.structs.replace(GATEWAY, snat=snat),), floating_ips=items)


def test_a_floating_ip_changes_elements_only() -> None:
    text = router_rules.change_text(router(("198.18.0.9", "10.0.0.9")), router(("198.18.0.8", "10.0.0.9")))
    assert "rule" not in text
    lines = text.splitlines()
    assert lines.index("delete element inet stackyard floating_out { 10.0.0.9 }") < lines.index(
        "add element inet stackyard floating_out { 10.0.0.9 : 198.18.0.9 }"
    )
    assert "delete element inet stackyard floating_in { 198.18.0.8 }" in lines
    assert "add element inet stackyard floating_in { 198.18.0.9 : 10.0.0.9 }" in lines


def test_a_router_hides_tenants_only_when_asked_to() -> None:
    hiding = "".join(chain.text("t") for chain in router_rules.chains(router()))
    open_ = "".join(chain.text("t") for chain in router_rules.chains(router(snat=False)))
    device = names.inner_gateway("g")
    assert f'meta mark & 1 == 1 oifname "{device}" meta nfproto ipv4 snat ip to 198.18.0.5' in hiding
    assert "ct state new ct status & dnat != dnat drop" in hiding
    assert "oifname" in open_
    assert "nfproto ipv4 snat ip to 198.18.0.5" in open_  # hairpin still needs it
    assert "ct state new" not in open_


def test_who_is_of_the_outer_networks_scope_is_not_hidden() -> None:
    spec = router()
    known = msgspec.structs.replace(GATEWAY, routed=("10.1.0.0/24", "2001:db8::/64"))
    text = "".join(chain.text("t") for chain in router_rules.chains(msgspec.structs.replace(spec, gateways=(known,))))
    device = names.inner_gateway("g")
    accepted = text.index(f'oifname "{device}" ip saddr {{ 10.1.0.0/24 }} accept')
    assert accepted < text.index("meta nfproto ipv4 snat ip to 198.18.0.5")
    assert f'oifname "{device}" ip6 saddr {{ 2001:db8::/64 }} accept' in text
    assert text.index(f'iifname "{device}" ip daddr {{ 10.1.0.0/24 }} accept') < text.index("!= dnat drop")


def test_the_host_is_closed_but_for_its_open_ports() -> None:
    spec = NetworkSpec(id="x", subnets=(SubnetSpec(id="s", cidr="198.18.0.0/24", gateway="198.18.0.1"),))
    guard, outward = table_chains("a1b2c3d4", {"x": spec}, (443, 80))
    assert guard.rules[-1] == "drop"
    assert "tcp dport { 80, 443 } accept" in guard.rules
    assert outward.rules == ('ip saddr 198.18.0.0/24 oifname != "sya1b2c3x*" masquerade',)
    assert not any("tcp dport" in rule for rule in table_chains("a1b2c3d4", {"x": spec}, ())[0].rules)
