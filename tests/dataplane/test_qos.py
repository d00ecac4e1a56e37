"""Limits of ports: measured with real traffic, changed in place, removed, repaired when somebody takes them away."""

from __future__ import annotations

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Endpoint, Lab, subnet
from tests.dataplane.traffic import bytes_a_second, packets_received, traffic_class

from stackyard.host.network import names
from stackyard.host.specs import BandwidthLimit, PacketRateLimit, PortSpec, Qos

pytestmark = pytest.mark.root

MEGABYTE = 1_000_000


def limited(direction: str, kbps: int) -> Qos:
    return Qos(bandwidth=(BandwidthLimit(direction=direction, max_kbps=kbps),))


def two(lab: Lab, **options: object) -> tuple[Endpoint, Endpoint]:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,), **options)
    return one, lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(group,))


def change(lab: Lab, end: Endpoint, qos: Qos | None) -> PortSpec:
    spec = msgspec.structs.replace(end.port, qos=qos)
    lab.driver.apply_port(spec)
    return spec


def test_what_a_port_sends_is_limited(lab: Lab) -> None:
    one, other = two(lab, qos=limited("egress", 8000))
    assert 0.6 * MEGABYTE < bytes_a_second(one, other, "10.1.0.6") < 1.4 * MEGABYTE
    assert bytes_a_second(other, one, "10.1.0.5", 0.3) > 5 * MEGABYTE
    change(lab, one, limited("egress", 24000))
    assert 1.8 * MEGABYTE < bytes_a_second(one, other, "10.1.0.6") < 4.2 * MEGABYTE
    change(lab, one, None)
    assert bytes_a_second(one, other, "10.1.0.6", 0.3) > 10 * MEGABYTE
    assert names.limiter(one.port.id) not in lab.fabric.run("ip", "link").stdout


def test_what_a_port_receives_is_limited(lab: Lab) -> None:
    one, other = two(lab, qos=limited("ingress", 8000))
    assert 0.6 * MEGABYTE < bytes_a_second(other, one, "10.1.0.5") < 1.4 * MEGABYTE
    assert bytes_a_second(one, other, "10.1.0.6", 0.3) > 5 * MEGABYTE
    change(lab, one, limited("ingress", 24000))
    assert 1.8 * MEGABYTE < bytes_a_second(other, one, "10.1.0.5") < 4.2 * MEGABYTE
    change(lab, one, None)
    assert bytes_a_second(other, one, "10.1.0.5", 0.3) > 10 * MEGABYTE


def test_a_limit_taken_away_by_hand_comes_back(lab: Lab) -> None:
    both = Qos(bandwidth=(*limited("egress", 8000).bandwidth, *limited("ingress", 16000).bandwidth))
    one, other = two(lab, qos=both)
    outer, limiter = lab.outer(one), names.limiter(one.port.id)
    for command in (
        ("tc", "qdisc", "del", "dev", outer, "root"),
        ("tc", "qdisc", "del", "dev", outer, "ingress"),
        ("tc", "filter", "del", "dev", outer, "parent", "ffff:"),
        ("tc", "qdisc", "del", "dev", limiter, "root"),
        ("tc", "qdisc", "replace", "dev", limiter, "root", "handle", "1:", "tbf",
         "rate", "1gbit", "burst", "1mb", "latency", "50ms"),
        ("ip", "link", "set", limiter, "down"),
        ("ip", "link", "del", limiter),
    ):  # fmt: skip
        assert lab.driver.observe().problems == {}
        done = lab.fabric.run(*command)
        assert done.returncode == 0, done.stderr
        assert one.port.id in lab.driver.observe().problems, command
        lab.driver.apply_port(one.port)
    assert lab.driver.observe().problems == {}
    assert bytes_a_second(one, other, "10.1.0.6") < 1.4 * MEGABYTE


def test_limits_survive_the_driver_and_go_with_the_port(lab: Lab) -> None:
    one, other = two(lab, qos=limited("egress", 8000))
    lab.restart_driver()
    lab.driver.apply_port(one.port)
    assert lab.driver.observe().problems == {}
    lab.restart_driver()
    change(lab, one, None)
    assert bytes_a_second(one, other, "10.1.0.6", 0.3) > 10 * MEGABYTE
    change(lab, one, limited("egress", 8000))
    lab.driver.remove_port(one.port.id)
    assert names.limiter(one.port.id) not in lab.fabric.run("ip", "link").stdout


def test_packet_rates_are_limited_in_both_directions(lab: Lab) -> None:
    one, other = two(lab)
    assert packets_received(one, other, "10.1.0.6", 2000) > 1900
    change(lab, one, Qos(packet_rate=(PacketRateLimit(direction="egress", max_kpps=1),)))
    assert packets_received(one, other, "10.1.0.6", 4000) < 2000
    assert packets_received(other, one, "10.1.0.5", 2000) > 1900
    change(lab, one, Qos(packet_rate=(PacketRateLimit(direction="ingress", max_kpps=1),)))
    assert packets_received(other, one, "10.1.0.5", 4000) < 2000
    assert packets_received(one, other, "10.1.0.6", 2000) > 1900
    change(lab, one, None)
    assert packets_received(other, one, "10.1.0.5", 2000) > 1900
    assert lab.driver.observe().problems == {}


@pytest.mark.parametrize("secured", [True, False])
def test_what_a_port_sends_is_marked(lab: Lab, *, secured: bool) -> None:
    one, other = two(lab, port_security=secured)
    assert traffic_class(one, other, "10.1.0.6") == 0
    change(lab, one, Qos(dscp=46))
    assert traffic_class(one, other, "10.1.0.6") == 46
    assert traffic_class(one, other, "fd01::6") == 46
    assert traffic_class(other, one, "10.1.0.5") == 0
    change(lab, one, Qos(dscp=0, minimum_kbps=1000))
    assert traffic_class(one, other, "10.1.0.6") == 0
    assert lab.driver.observe().problems == {}
