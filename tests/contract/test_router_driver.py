"""What every network driver promises of routers with all that a router may have."""

from __future__ import annotations

import msgspec
import pytest
from tests.contract.test_network_driver import EMPTY, Bench, bench, network, new_id, new_mac, router

from stackyard.host.errors import SpecError
from stackyard.host.network.metadata import MetadataReply, MetadataRequest
from stackyard.host.specs import (
    Address,
    BandwidthLimit,
    ConntrackHelper,
    FloatingIPSpec,
    MeteringLabel,
    MeteringRule,
    PacketRateLimit,
    PortForwarding,
    Qos,
    Route,
    RouterGateway,
    RouterSpec,
)

__all__ = ["bench"]


def gateway(number: int, **options: object) -> RouterGateway:
    addresses = (
        Address(ip=f"198.18.{number}.5", prefix_length=24),
        Address(ip=f"fd9{number}::5", prefix_length=64),
    )
    hops = (f"198.18.{number}.1", f"fd9{number}::1")
    return RouterGateway(
        port_id=new_id(), network_id=new_id(), mac=new_mac(), addresses=addresses, next_hops=hops, **options
    )


def forwarding(
    external: tuple[int, int] = (80, 80), internal: tuple[int, int] = (80, 80), **options: object
) -> PortForwarding:
    values = {"id": new_id(), "floating_ip": "198.18.1.60", "protocol": "tcp", "fixed_ip": "10.1.0.5", **options}
    return PortForwarding(external_ports=external, internal_ports=internal, **values)


def floating(**options: object) -> FloatingIPSpec:
    return FloatingIPSpec(**{"id": new_id(), "floating_ip": "198.18.1.50", "fixed_ip": "10.1.0.5", **options})


LIMITS = Qos(
    bandwidth=(BandwidthLimit(direction="egress", max_kbps=1000),),
    packet_rate=(PacketRateLimit(direction="ingress", max_kpps=10),),
    dscp=12,
)
LABEL = MeteringLabel(
    id=new_id(),
    rules=(
        MeteringRule(direction="ingress", source_cidr="198.18.0.0/16", destination_cidr="10.1.0.0/24"),
        MeteringRule(direction="egress", remote_cidr="0.0.0.0/0"),
        MeteringRule(direction="egress", remote_cidr="fd01::/64", excluded=True),
    ),
)


def test_every_part_of_a_router_may_change(bench: Bench) -> None:
    driver, one = bench.driver, network()
    driver.apply_network(one)
    spec = router(one)
    first, second = gateway(1), gateway(2)
    for leg in (first, second):
        driver.apply_network(network(id=leg.network_id, subnets=()))
    changes: tuple[dict[str, object], ...] = (
        {"gateways": (first,)},
        {"floating_ips": (floating(),)},
        {"floating_ips": (floating(qos=LIMITS),), "port_forwardings": (forwarding((5000, 5010), (6000, 6010)),)},
        {"gateways": (first, second)},
        {"ecmp": True},
        {"gateways": (msgspec.structs.replace(first, snat=False, qos=LIMITS), second), "ecmp": False},
        {"routes": (Route(destination="10.7.0.0/16", next_hop="10.1.0.3"),)},
        {"routes": tuple(Route(destination="10.7.0.0/16", next_hop=f"10.1.0.{n}") for n in (3, 4))},
        {"conntrack_helpers": (ConntrackHelper(helper="ftp", protocol="tcp", port=21),)},
        {"proxied": ("fd01::5", "fd01::6")},
        {"metering": (LABEL,)},
        {"admin_up": False},
        {"admin_up": True, "conntrack_helpers": (), "proxied": ("fd01::6",), "metering": ()},
        {"gateways": (second,), "floating_ips": (), "port_forwardings": ()},
        {"gateways": (), "proxied": ()},
    )
    for change in changes:
        spec = msgspec.structs.replace(spec, **change)
        for _ in range(2):
            driver.apply_router(spec)
        assert driver.observe().problems == {}, change
    driver.remove_router(spec.id)
    assert driver.observe().routers == frozenset()


def test_meters_are_those_of_the_labels_that_are_there(bench: Bench) -> None:
    driver, spec = bench.driver, msgspec.structs.replace(router(network()), gateways=(gateway(1),), metering=(LABEL,))
    assert driver.read_meters() == {}
    driver.apply_router(spec)
    assert driver.read_meters() == {LABEL.id: (0, 0)}
    driver.remove_router(spec.id)
    assert driver.read_meters() == {}


def test_a_handler_for_metadata_may_be_given_at_any_time(bench: Bench) -> None:
    class Nobody:
        def answer(self, request: MetadataRequest) -> MetadataReply:
            return MetadataReply(404, body=request.path.encode())

    for _ in range(2):
        bench.driver.answer_metadata(Nobody())
    assert bench.driver.observe() == EMPTY


GATE = gateway(1)
BAD: dict[str, dict[str, object]] = {
    "forwarding without gateway": {"port_forwardings": (forwarding(),)},
    "forwarded protocol": {"gateways": (GATE,), "port_forwardings": (forwarding(protocol="icmp"),)},
    "hostile protocol": {"gateways": (GATE,), "port_forwardings": (forwarding(protocol="tcp dport 1 accept"),)},
    "port 0": {"gateways": (GATE,), "port_forwardings": (forwarding((0, 0)),)},
    "port 65536": {"gateways": (GATE,), "port_forwardings": (forwarding((65536, 65536)),)},
    "upside down": {"gateways": (GATE,), "port_forwardings": (forwarding((90, 80), (90, 80)),)},
    "lengths": {"gateways": (GATE,), "port_forwardings": (forwarding((80, 90), (80, 85)),)},
    "overlap": {"gateways": (GATE,), "port_forwardings": (forwarding((80, 90), (80, 90)), forwarding((85, 85)))},
    "whole and forwarded": {
        "gateways": (GATE,), "floating_ips": (floating(),),
        "port_forwardings": (forwarding(floating_ip="198.18.1.50"),),
    },
    "forwarding six": {"gateways": (GATE,), "port_forwardings": (forwarding(fixed_ip="fd01::5"),)},
    "helper": {"conntrack_helpers": (ConntrackHelper(helper='x"; drop', protocol="tcp", port=21),)},
    "helper's protocol": {"conntrack_helpers": (ConntrackHelper(helper="ftp", protocol="sctp", port=21),)},
    "helper's port": {"conntrack_helpers": (ConntrackHelper(helper="ftp", protocol="tcp", port=0),)},
    "proxied four": {"proxied": ("10.1.0.5",)},
    "proxied text": {"proxied": ("fd01::5 } accept",)},
    "label": {"metering": (MeteringLabel(id="a b"),)},
    "label twice": {"metering": (LABEL, LABEL)},
    "metering direction": {"metering": (MeteringLabel(id="a", rules=(MeteringRule(direction="up"),)),)},
    "metering cidr": {
        "metering": (MeteringLabel(id="a", rules=(MeteringRule(direction="ingress", remote_cidr="all"),)),),
    },
    "metering families": {
        "metering": (
            MeteringLabel(
                id="a", rules=(MeteringRule(direction="ingress", source_cidr="::/0", destination_cidr="10.0.0.0/8"),)
            ),
        ),
    },
    "limit": {"gateways": (gateway(1, qos=Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=0),))),)},
    "limit's direction": {
        "gateways": (gateway(1, qos=Qos(packet_rate=(PacketRateLimit(direction="x", max_kpps=1),))),),
    },
    "dscp": {"gateways": (GATE,), "floating_ips": (floating(qos=Qos(dscp=64)),)},
    "too many gateways": {"gateways": tuple(gateway(1) for _ in range(65))},
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_router_that_cannot_be_is_refused(bench: Bench, what: str) -> None:
    with pytest.raises(SpecError):
        bench.driver.apply_router(msgspec.structs.replace(RouterSpec(id=new_id()), **BAD[what]))
    assert bench.driver.observe() == EMPTY
