"""What every network driver promises, held against the kernel and against its in-memory twin."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import NetworkDriver, netns
from stackyard.host.network.kernel import KernelNetworkDriver
from stackyard.host.network.memory import MemoryNetworkDriver
from stackyard.host.specs import (
    Address,
    AddressGroupSpec,
    AddressPair,
    BandwidthLimit,
    FloatingIPSpec,
    HostRecord,
    NetworkObservation,
    NetworkSpec,
    PacketRateLimit,
    PortSpec,
    Qos,
    Route,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    SecurityGroupSpec,
    SecurityRule,
    ServicePort,
    SubnetSpec,
)

EMPTY = NetworkObservation()


def new_id() -> str:
    return str(uuid.uuid4())


def new_mac() -> str:
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in os.urandom(3))


@dataclass
class Bench:
    """A driver, and namespaces for its ports."""

    driver: NetworkDriver
    place: Callable[[], str]


@pytest.fixture(params=["memory", pytest.param("kernel", marks=pytest.mark.root)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    cloud = uuid.uuid4().hex[:8]
    made: list[str] = []

    def place() -> str:
        name = f"syt-{cloud}-{len(made)}"
        made.append(name)
        netns.create(name)
        return netns.path_of(name)

    if request.param == "memory":
        twin = MemoryNetworkDriver()
        twin.start()
        yield Bench(twin, lambda: "/run/netns/nowhere")
        return
    driver = KernelNetworkDriver(cloud, tmp_path)
    driver.start()
    try:
        yield Bench(driver, place)
    finally:
        driver.purge()
        for name in made:
            netns.delete(name)


SUBNET = SubnetSpec(id=new_id(), cidr="10.1.0.0/24", gateway="10.1.0.1")
SUBNET6 = SubnetSpec(id=new_id(), cidr="fd01::/64", gateway="fd01::1", ipv6_mode="slaac")


def network(**options: object) -> NetworkSpec:
    return NetworkSpec(**{"id": new_id(), "subnets": (SUBNET, SUBNET6), **options})


def port(on: NetworkSpec, where: str, **options: object) -> PortSpec:
    addresses = (Address(ip="10.1.0.5", prefix_length=24),)
    values = {"id": new_id(), "mac": new_mac(), "addresses": addresses, "gateways": ("10.1.0.1",), **options}
    return PortSpec(network_id=on.id, netns=where, **values)


def group(*rules: SecurityRule, **options: object) -> SecurityGroupSpec:
    return SecurityGroupSpec(id=new_id(), rules=rules or (SecurityRule(direction="egress", ethertype=4),), **options)


def router(*on: NetworkSpec, **options: object) -> RouterSpec:
    addresses = (Address(ip="10.1.0.1", prefix_length=24), Address(ip="fd01::1", prefix_length=64))
    legs = tuple(
        RouterInterface(port_id=new_id(), network_id=item.id, mac=new_mac(), addresses=addresses, subnets=item.subnets)
        for item in on
    )
    return RouterSpec(id=new_id(), interfaces=legs, **options)


def served() -> NetworkSpec:
    service = ServicePort(id=new_id(), mac=new_mac(), addresses=(Address(ip="10.1.0.2", prefix_length=24),))
    return network(service_port=service, hosts=(HostRecord(mac=new_mac(), ips=("10.1.0.5",), names=("web",)),))


def test_what_is_applied_is_observed_and_what_is_removed_is_not(bench: Bench) -> None:
    driver, one, first = bench.driver, served(), group()
    wire, way = port(one, bench.place(), security_groups=(first.id,)), router(one)
    driver.apply_network(one)
    driver.apply_security_group(first)
    driver.apply_port(wire)
    driver.apply_router(way)
    assert driver.observe() == NetworkObservation(
        networks=frozenset({one.id}),
        ports=frozenset({wire.id}),
        routers=frozenset({way.id}),
        security_groups=frozenset({first.id}),
    )
    driver.remove_router(way.id)
    driver.remove_port(wire.id)
    driver.remove_security_group(first.id)
    driver.remove_network(one.id)
    assert driver.observe() == EMPTY


def test_applying_twice_is_applying_once(bench: Bench) -> None:
    driver, one, first = bench.driver, served(), group(members=("10.1.0.5", "fd01::5"))
    wire, way = port(one, bench.place(), security_groups=(first.id,)), router(one)
    for _ in range(2):
        driver.apply_network(one)
        driver.apply_security_group(first)
        driver.apply_port(wire)
        driver.apply_router(way)
    seen = driver.observe()
    assert (len(seen.networks), len(seen.ports), len(seen.routers), len(seen.security_groups)) == (1, 1, 1, 1)
    assert seen.problems == {}


def test_any_order_will_do_and_a_missing_network_is_told(bench: Bench) -> None:
    driver, one, first = bench.driver, network(), group()
    wire = port(one, bench.place(), security_groups=(first.id,))
    driver.apply_router(router(one))
    driver.apply_port(wire)
    assert wire.id in driver.observe().problems
    driver.apply_security_group(first)
    driver.apply_network(one)
    driver.apply_port(wire)
    assert driver.observe().problems == {}
    assert driver.observe().ports == {wire.id}


def test_removing_what_is_not_there_is_fine(bench: Bench) -> None:
    for _ in range(2):
        bench.driver.remove_port(new_id())
        bench.driver.remove_network(new_id())
        bench.driver.remove_router(new_id())
        bench.driver.remove_security_group(new_id())
    assert bench.driver.observe() == EMPTY


def test_every_part_of_a_spec_may_change(bench: Bench) -> None:
    driver, one, first, second = bench.driver, served(), group(), group()
    wire = port(one, bench.place(), security_groups=(first.id,))
    for spec in (first, second):
        driver.apply_security_group(spec)
    driver.apply_network(one)
    driver.apply_port(wire)
    changes: tuple[dict[str, object], ...] = (
        {"addresses": (Address(ip="10.1.0.6", prefix_length=24), Address(ip="fd01::6", prefix_length=64))},
        {"mac": new_mac()},
        {"mtu": 1400},
        {"gateways": ("10.1.0.254", "fd01::1")},
        {"routes": (Route(destination="10.7.0.0/16", next_hop="10.1.0.3"),)},
        {"security_groups": (second.id,)},
        {"allowed_pairs": (AddressPair(ip="10.1.0.128/25"), AddressPair(ip="fd01::9", mac=new_mac()))},
        {"port_security": False},
        {"port_security": True, "admin_up": False},
        {"admin_up": True},
    )
    for change in changes:
        wire = msgspec.structs.replace(wire, **change)
        driver.apply_port(wire)
        assert driver.observe().problems == {}, change
    for change in (
        {"mtu": 1400},
        {"dns_domain": "example.org"},
        {"hosts": ()},
        {"service_port": None},
        {"subnets": ()},
    ):
        one = msgspec.structs.replace(one, **change)
        driver.apply_network(one)
        assert driver.observe().problems == {}, change


def test_a_removed_group_that_a_port_names_gives_it_nothing_and_may_come_back(bench: Bench) -> None:
    driver, one, first = bench.driver, network(), group()
    watcher = group(SecurityRule(direction="ingress", ethertype=4, remote_group=first.id))
    driver.apply_network(one)
    driver.apply_security_group(watcher)
    driver.apply_security_group(first)
    driver.apply_port(port(one, bench.place(), security_groups=(first.id, watcher.id)))
    driver.remove_security_group(first.id)
    assert driver.observe().security_groups == {watcher.id}
    driver.apply_security_group(first)
    assert driver.observe().security_groups == {first.id, watcher.id}


def test_an_address_group_may_be_named_first_change_and_go(bench: Bench) -> None:
    driver = bench.driver
    offices = AddressGroupSpec(id=new_id(), addresses=("192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "10.0.0.0/9"))
    naming = group(msgspec.structs.replace(RULE, remote_cidr=None, remote_address_group=offices.id))
    driver.apply_security_group(naming)
    assert driver.observe().address_groups == frozenset()
    for addresses in (offices.addresses, ("192.0.2.0/25", "10.128.0.0/9"), ("0.0.0.0/0", "::/0"), ()):
        changed = msgspec.structs.replace(offices, addresses=addresses)
        driver.apply_address_group(changed)
        driver.apply_address_group(changed)
        assert driver.observe().address_groups == {offices.id}
        assert not driver.observe().problems
    driver.remove_address_group(offices.id)
    driver.remove_address_group(offices.id)
    assert driver.observe().address_groups == frozenset()
    assert driver.observe().security_groups == {naming.id}
    with pytest.raises(SpecError):
        driver.apply_address_group(msgspec.structs.replace(offices, addresses=("10.0.0.0/24 } ; flush ruleset",)))


def test_a_ports_limits_are_made_changed_and_taken_away(bench: Bench) -> None:
    driver, one = bench.driver, network()
    driver.apply_network(one)
    wire = port(one, bench.place(), mtu=65521)
    everything = Qos(
        bandwidth=tuple(BandwidthLimit(direction=way, max_kbps=1000) for way in ("egress", "ingress")),
        packet_rate=tuple(PacketRateLimit(direction=way, max_kpps=10) for way in ("egress", "ingress")),
        dscp=46,
        minimum_kbps=100,
    )
    most = 2**31 - 1
    huge = Qos(
        bandwidth=(BandwidthLimit(direction="egress", max_kbps=most, max_burst_kbps=most),),
        packet_rate=(PacketRateLimit(direction="ingress", max_kpps=most, max_burst_kpps=most),),
    )
    large = Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=30_000_000, max_burst_kbps=most),))
    tiny = Qos(bandwidth=(BandwidthLimit(direction="ingress", max_kbps=1, max_burst_kbps=1),))
    for qos in (everything, everything, huge, large, tiny, Qos(), None, everything):
        driver.apply_port(msgspec.structs.replace(wire, qos=qos))
        assert driver.observe().problems == {}
        assert driver.observe().ports == {wire.id}
    driver.remove_port(wire.id)
    assert driver.observe().ports == frozenset()


def test_a_machines_port_needs_no_namespace(bench: Bench) -> None:
    driver, one = bench.driver, network()
    driver.apply_network(one)
    wire = port(one, "", kind="tap")
    driver.apply_port(wire)
    assert driver.observe().ports == {wire.id}
    tap = driver.tap(wire.id)
    assert tap.namespace.startswith("/")
    assert 0 < len(tap.device) < 16
    driver.remove_port(wire.id)
    assert driver.observe().ports == frozenset()


def test_purge_removes_everything_and_the_driver_may_start_again(bench: Bench) -> None:
    driver, one = bench.driver, served()
    driver.apply_network(one)
    driver.apply_router(router(one))
    driver.purge()
    driver.start()
    assert driver.observe() == EMPTY
    driver.apply_network(one)
    assert driver.observe().networks == {one.id}


def test_many_threads_may_call_at_once(bench: Bench) -> None:
    driver, one, first = bench.driver, network(), group()
    driver.apply_network(one)
    wires = [port(one, bench.place(), mac=new_mac(), security_groups=(first.id,)) for _ in range(8)]
    failures: list[BaseException] = []

    def work(wire: PortSpec) -> None:
        try:
            driver.apply_port(wire)
            driver.apply_security_group(first)
            driver.observe()
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert driver.observe().ports == {wire.id for wire in wires}


NET = network()
WIRE = port(NET, "/run/netns/nowhere")
GATEWAY = RouterGateway(
    port_id=new_id(), network_id=new_id(), mac=new_mac(), addresses=(Address(ip="198.18.9.5", prefix_length=24),)
)
BAD_PORTS: dict[str, dict[str, object]] = {
    "id": {"id": "a b"},
    "device": {"device": "eth0; reboot"},
    "long device": {"device": "e" * 16},
    "mac": {"mac": "fa:16:3e:00:00"},
    "multicast mac": {"mac": "01:00:5e:00:00:01"},
    "address": {"addresses": (Address(ip="10.1.0.256", prefix_length=24),)},
    "prefix": {"addresses": (Address(ip="10.1.0.5", prefix_length=33),)},
    "gateway": {"gateways": ("gateway",)},
    "route": {"routes": (Route(destination="10.0.0.0/8", next_hop="fd01::1"),)},
    "pair": {"allowed_pairs": (AddressPair(ip="10.1.0.5 } accept"),)},
    "group": {"security_groups": ("x\nflush ruleset",)},
    "namespace": {"netns": "../../etc/passwd"},
    "mtu": {"mtu": 20},
    "kind": {"kind": "wifi"},
    "subport without parent": {"kind": "vlan", "vlan_id": 5},
    "subport without vlan": {"kind": "vlan", "parent": new_id()},
    "vlan": {"kind": "vlan", "parent": new_id(), "vlan_id": 4095},
    "parent": {"kind": "vlan", "parent": "x; reboot", "vlan_id": 5},
    "limit of nothing": {"qos": Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=0),))},
    "direction": {"qos": Qos(packet_rate=(PacketRateLimit(direction="any", max_kpps=1),))},
    "two limits": {"qos": Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=1),) * 2)},
    "burst": {"qos": Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=1, max_burst_kbps=-1),))},
    "mark": {"qos": Qos(dscp=64)},
}
RULE = SecurityRule(direction="ingress", ethertype=4)
BAD_RULES: dict[str, dict[str, object]] = {
    "direction": {"direction": "sideways"},
    "ethertype": {"ethertype": 5},
    "protocol": {"protocol": "tcp accept"},
    "number": {"protocol": "256"},
    "ports of nothing": {"port_min": 80, "port_max": 80},
    "port": {"protocol": "tcp", "port_min": 80, "port_max": 70000},
    "range": {"protocol": "udp", "port_min": 90, "port_max": 80},
    "icmp": {"protocol": "icmp", "port_min": 300},
    "icmpv6 in IPv4": {"protocol": "ipv6-icmp"},
    "icmp code alone": {"protocol": "icmp", "port_max": 3},
    "family": {"remote_cidr": "fd01::/64"},
    "cidr": {"remote_cidr": "everywhere"},
    "two remotes": {"remote_cidr": "10.0.0.0/8", "remote_group": new_id()},
    "remote group": {"remote_group": "}"},
}
BAD_NETWORKS: dict[str, dict[str, object]] = {
    "domain": {"dns_domain": "example.org\nserver=1.2.3.4"},
    "cidr": {"subnets": (SubnetSpec(id=new_id(), cidr="10.1.0.0/40"),)},
    "gateway family": {"subnets": (SubnetSpec(id=new_id(), cidr="10.1.0.0/24", gateway="fd01::1"),)},
    "mode": {"subnets": (SubnetSpec(id=new_id(), cidr="10.1.0.0/24", ipv6_mode="slaac"),)},
    "dns": {"subnets": (SubnetSpec(id=new_id(), cidr="10.1.0.0/24", dns_servers=("resolver",)),)},
    "host name": {"hosts": (HostRecord(mac=new_mac(), ips=("10.1.0.5",), names=("a b",)),)},
    "host address": {"hosts": (HostRecord(mac=new_mac(), ips=("ten",)),)},
    "host mac": {"hosts": (HostRecord(mac="x", ips=("10.1.0.5",)),)},
    "mtu": {"mtu": 70000},
}
FLOATING = FloatingIPSpec(id=new_id(), floating_ip="198.18.9.9", fixed_ip="10.1.0.5")
BAD_ROUTERS: dict[str, dict[str, object]] = {
    "floating without gateway": {"floating_ips": (FLOATING,)},
    "floating twice": {"gateways": (GATEWAY,), "floating_ips": (FLOATING, FLOATING)},
    "floating six": {"gateways": (GATEWAY,), "floating_ips": (msgspec.structs.replace(FLOATING, fixed_ip="fd01::5"),)},
    "route": {"routes": (Route(destination="nowhere", next_hop="10.1.0.3"),)},
    "next hop": {"gateways": (msgspec.structs.replace(GATEWAY, next_hops=("up",)),)},
    "id": {"id": "a/b"},
}


@pytest.mark.parametrize("what", BAD_PORTS)
def test_a_port_that_cannot_be_is_refused(bench: Bench, what: str) -> None:
    with pytest.raises(SpecError):
        bench.driver.apply_port(msgspec.structs.replace(WIRE, **BAD_PORTS[what]))
    assert bench.driver.observe() == EMPTY


@pytest.mark.parametrize("what", BAD_RULES)
def test_a_rule_that_cannot_be_is_refused(bench: Bench, what: str) -> None:
    with pytest.raises(SpecError):
        bench.driver.apply_security_group(group(msgspec.structs.replace(RULE, **BAD_RULES[what])))
    assert bench.driver.observe() == EMPTY


@pytest.mark.parametrize("what", BAD_NETWORKS)
def test_a_network_that_cannot_be_is_refused(bench: Bench, what: str) -> None:
    with pytest.raises(SpecError):
        bench.driver.apply_network(msgspec.structs.replace(NET, **BAD_NETWORKS[what]))
    assert bench.driver.observe() == EMPTY


@pytest.mark.parametrize("what", BAD_ROUTERS)
def test_a_router_that_cannot_be_is_refused(bench: Bench, what: str) -> None:
    with pytest.raises(SpecError):
        bench.driver.apply_router(msgspec.structs.replace(RouterSpec(id=new_id()), **BAD_ROUTERS[what]))
    assert bench.driver.observe() == EMPTY


def test_the_twin_fails_when_told_to_and_loses_what_it_is_told_to_lose() -> None:
    twin, one = MemoryNetworkDriver(), network()
    twin.fail_next("apply_network", HostError("no"))
    with pytest.raises(HostError, match="no"):
        twin.apply_network(one)
    assert twin.observe() == EMPTY
    twin.apply_network(one)
    twin.lose(one.id, "its bridge is gone")
    assert twin.observe().problems == {one.id: "its bridge is gone"}
    twin.apply_network(one)
    assert twin.observe().networks == {one.id}
    assert twin.calls[0] == ("apply_network", one.id)
