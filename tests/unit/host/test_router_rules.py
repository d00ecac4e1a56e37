"""A router's rules, routes and judgement of connections, without a kernel."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.errors import HostError
from stackyard.host.network import departed, metering, names, router_checks, router_rules, ways
from stackyard.host.network.conntrack import Connection
from stackyard.host.specs import (
    Address,
    FloatingIPSpec,
    PortForwarding,
    Route,
    RouterGateway,
    RouterInterface,
    RouterSpec,
)


def gateway(number: int, **options: object) -> RouterGateway:
    values = {
        "port_id": f"g{number}", "network_id": f"x{number}", "mac": f"02:00:00:00:01:0{number}",
        "addresses": (Address(ip=f"198.18.{number}.5", prefix_length=24),), "next_hops": (f"198.18.{number}.1",),
        **options,
    }  # fmt: skip
    return RouterGateway(**values)


LEG = RouterInterface(
    port_id="leg", network_id="n", mac="02:00:00:00:00:01", addresses=(Address(ip="10.0.0.1", prefix_length=24),)
)
ONE = RouterSpec(id="r", interfaces=(LEG,), gateways=(gateway(1),))
TWO = msgspec.structs.replace(ONE, gateways=(gateway(1), gateway(2)))
FLOATING = FloatingIPSpec(id="f", floating_ip="198.18.2.9", fixed_ip="10.0.0.9")


def forwarding(external: tuple[int, int], internal: tuple[int, int], protocol: str = "tcp") -> PortForwarding:
    return PortForwarding(
        id="p", floating_ip="198.18.1.60", protocol=protocol, external_ports=external, fixed_ip="10.0.0.7",
        internal_ports=internal,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("external", "internal", "expected"),
    [
        ((80, 80), (80, 80), "tcp dport 80 dnat ip to 10.0.0.7"),
        ((80, 80), (8080, 8080), "tcp dport 80 dnat ip to 10.0.0.7:8080"),
        ((80, 90), (80, 90), "tcp dport 80-90 dnat ip to 10.0.0.7"),
        ((80, 90), (22, 22), "tcp dport 80-90 dnat ip to 10.0.0.7:22"),
        ((80, 81), (90, 91), "tcp dport 80-81 dnat ip to 10.0.0.7 : tcp dport map { 80 : 90, 81 : 91 }"),
    ],
)
def test_a_forwarding_is_one_rule(external: tuple[int, int], internal: tuple[int, int], expected: str) -> None:
    assert router_rules.forwarding_rule(forwarding(external, internal)) == f"ip daddr 198.18.1.60 {expected}"


@given(st.integers(1, 65535), st.integers(0, 200), st.integers(1, 65535), st.sampled_from(["tcp", "udp", "sctp"]))
def test_forwardings_that_pass_the_check_are_harmless_lines(first: int, length: int, low: int, protocol: str) -> None:
    last, high = min(65535, first + length), min(65535, low + length)
    if high - low != last - first:
        high = low
    item = forwarding((first, last), (low, high), protocol)
    router_checks.check_router(msgspec.structs.replace(ONE, port_forwardings=(item,)))
    assert re.fullmatch(r"[a-z0-9 .:{},-]+", router_rules.forwarding_rule(item))


def test_with_one_gateway_nothing_is_marked_by_way() -> None:
    text = router_rules.full_text(msgspec.structs.replace(ONE, floating_ips=(FLOATING,)))
    assert "ct mark" not in text
    assert "add element inet stackyard ways" not in text
    assert ways.choices(ONE) == frozenset()


def test_a_floating_ip_is_marked_with_its_gateway() -> None:
    spec = msgspec.structs.replace(TWO, floating_ips=(FLOATING,))
    assert router_rules.gateway_of(spec, "198.18.2.9") == 1
    assert router_rules.gateway_of(spec, "203.0.113.9") == 0
    text = router_rules.full_text(spec)
    assert "add element inet stackyard ways { 10.0.0.9 : 0x200 }" in text
    assert f'iifname "{names.inner_gateway("g2")}" ct state new ct mark set 0x200' in text


def test_from_a_spec_to_itself_is_nothing() -> None:
    spec = msgspec.structs.replace(TWO, floating_ips=(FLOATING,), port_forwardings=(forwarding((1, 2), (3, 4)),))
    assert router_rules.change_text(spec, spec) == ""


def test_each_gateway_has_a_table_and_the_first_the_default_route() -> None:
    first, second = (names.inner_gateway(name) for name in ("g1", "g2"))
    by_first, by_second = (("198.18.1.1", first),), (("198.18.2.1", second),)
    assert ways.ways(TWO) == {
        ways.Way(254, "0.0.0.0/0", by_first),
        ways.Way(1000, "0.0.0.0/0", by_first),
        ways.Way(1001, "0.0.0.0/0", by_second),
    }
    shared = ways.ways(msgspec.structs.replace(TWO, ecmp=True))
    assert ways.Way(254, "0.0.0.0/0", (*by_first, *by_second)) in shared
    marks = {choice.mark: choice.table for choice in ways.choices(TWO) if choice.mark}
    assert marks == {0x100: 1000, 0x200: 1001}


def test_a_static_route_goes_by_the_leg_that_its_next_hop_is_on() -> None:
    spec = msgspec.structs.replace(ONE, routes=(Route(destination="10.9.0.0/16", next_hop="10.0.0.3"),))
    assert ways.Way(254, "10.9.0.0/16", (("10.0.0.3", names.inner_leg("leg")),)) in ways.ways(spec)
    astray = msgspec.structs.replace(ONE, routes=(Route(destination="10.9.0.0/16", next_hop="10.5.0.3"),))
    with pytest.raises(HostError, match=r"10\.5\.0\.3"):
        ways.ways(astray)


def connection(**options: object) -> Connection:
    values = {
        "version": 4, "zone": 0, "protocol": 6, "source": "203.0.113.1", "destination": "198.18.2.9",
        "destination_port": 80, "reply_source": "10.0.0.9", "reply_source_port": 80,
        "reply_destination": "203.0.113.1", **options,
    }  # fmt: skip
    return Connection(**values)


JUDGED = msgspec.structs.replace(TWO, floating_ips=(FLOATING,), port_forwardings=(forwarding((80, 90), (180, 190)),))
FORWARDED = {"destination": "198.18.1.60", "reply_source": "10.0.0.7", "reply_source_port": 180}
OUTWARD = {"source": "10.0.0.7", "destination": "203.0.113.1", "reply_source": "203.0.113.1"}


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({}, False),
        ({"reply_source": "10.0.0.8"}, True),
        ({"destination": "198.18.2.10"}, True),
        ({"destination": "198.18.2.10", "related": True}, False),
        (FORWARDED, False),
        (FORWARDED | {"destination_port": 85, "reply_source_port": 185}, False),
        (FORWARDED | {"reply_source_port": 80}, True),
        (FORWARDED | {"destination_port": 91}, True),
        (FORWARDED | {"protocol": 17}, True),
        (OUTWARD | {"reply_destination": "198.18.1.5"}, False),
        (OUTWARD | {"reply_destination": "198.18.1.6"}, True),
        (OUTWARD | {"source": "10.0.0.9", "reply_destination": "198.18.2.9"}, False),
        (OUTWARD | {"reply_destination": "198.18.2.9"}, True),
        (OUTWARD | {"reply_destination": "10.0.0.7"}, False),
    ],
)
def test_a_connection_goes_when_it_would_be_translated_otherwise(options: dict[str, object], gone: bool) -> None:
    assert departed.departed(JUDGED)(connection(**options)) is gone


def test_only_what_is_taken_away_may_end_connections() -> None:
    assert departed.shrank(JUDGED, None)
    assert not departed.shrank(JUDGED, TWO)
    assert not departed.shrank(JUDGED, JUDGED)
    for change in ({"floating_ips": ()}, {"port_forwardings": ()}, {"gateways": TWO.gateways[:1]}):
        assert departed.shrank(msgspec.structs.replace(JUDGED, **change), JUDGED)


def test_counters_of_labels_are_read_and_added_up() -> None:
    document = """{"nftables": [{"metainfo": {}},
      {"counter": {"name": "meter_a", "packets": 2, "bytes": 30}}, {"counter": {"name": "b", "packets": 1}}]}"""
    assert metering.parse(document) == {"a": (2, 30)}
    assert metering.total([{"a": (2, 30)}, {"a": (1, 1), "c": (0, 0)}]) == {"a": (3, 31), "c": (0, 0)}
