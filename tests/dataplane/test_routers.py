"""Routers: between networks, outwards, floating IPs, IPv6 advertisements, and what must not pass."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import msgspec
import pytest
from tests.dataplane.lab import (
    BEYOND,
    EVERYTHING,
    HOST,
    OUTSIDE,
    OUTWARD,
    Endpoint,
    Lab,
    echoes,
    new_id,
    run,
    subnet,
    until,
)

from stackyard.host.errors import HostError
from stackyard.host.network import host_side, names, netns
from stackyard.host.specs import FloatingIPSpec, NetworkSpec, Route

pytestmark = pytest.mark.root


def external(lab: Lab) -> NetworkSpec:
    return lab.network(subnet(f"{OUTSIDE}.0/24"), external=True)


def floating(address: str, fixed: str) -> FloatingIPSpec:
    return FloatingIPSpec(id=new_id(), floating_ip=address, fixed_ip=fixed)


def test_a_router_joins_two_networks(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first = lab.network(subnet("10.1.0.0/24"), subnet("fd01::/64"))
    second = lab.network(subnet("10.2.0.0/24"), subnet("fd02::/64"), mtu=1400)
    one = lab.attach(first, "10.1.0.5", "fd01::5/64", groups=(group,), gateways=("10.1.0.1", "fd01::1"))
    two = lab.attach(second, "10.2.0.5", "fd02::5/64", groups=(group,), gateways=("10.2.0.1", "fd02::1"), mtu=1400)
    router = lab.router(first, second)
    assert one.pings("10.2.0.5")
    assert one.pings("fd02::5")
    lab.driver.apply_router(msgspec.structs.replace(router, admin_up=False))
    assert not one.pings("10.2.0.5", wait=0.4)
    lab.driver.apply_router(router)
    assert one.pings("10.2.0.5")
    lab.driver.apply_router(msgspec.structs.replace(router, interfaces=router.interfaces[:1]))
    assert not one.pings("10.2.0.5", wait=0.4)
    assert two.pings("10.2.0.5")


def test_a_network_applied_after_its_router_joins_it(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.2.0.0/24"))
    lab.driver.remove_network(second.id)
    router = lab.router(first, second)
    lab.driver.apply_network(msgspec.structs.replace(second, mtu=1400))
    inner = names.inner_leg(router.interfaces[1].port_id)
    shown = run("ip", "link", "show", inner, netns_path=netns.path_of(names.router_namespace(lab.cloud, router.id)))
    assert "mtu 1400" in shown.stdout
    one = lab.attach(first, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    lab.attach(second, "10.2.0.5", groups=(group,), gateways=("10.2.0.1",))
    assert one.pings("10.2.0.5")


def test_static_routes_lead_through_a_second_router(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.2.0.0/24"))
    between = lab.network(subnet("10.3.0.0/24", gateway="10.3.0.1"))
    far = msgspec.structs.replace(between, subnets=(subnet("10.3.0.0/24", gateway="10.3.0.2"),))
    one = lab.attach(first, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    lab.attach(second, "10.2.0.5", groups=(group,), gateways=("10.2.0.1",))
    left = lab.router(first, between)
    right = lab.router(second, far)
    assert not one.pings("10.2.0.5", wait=0.4)
    ways = (Route(destination="10.2.0.0/24", next_hop="10.3.0.2"),)
    back = (Route(destination="10.1.0.0/24", next_hop="10.3.0.1"),)
    lab.driver.apply_router(msgspec.structs.replace(left, routes=ways))
    lab.driver.apply_router(msgspec.structs.replace(right, routes=back))
    assert one.pings("10.2.0.5")


def test_tenants_leave_behind_the_routers_address_and_reach_only_open_ports_of_the_host(lab: Lab) -> None:
    outside, inside = external(lab), lab.network(subnet("10.1.0.0/24"))
    lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10")
    one = lab.attach(inside, "10.1.0.5", groups=(lab.group(*OUTWARD),), gateways=("10.1.0.1",))
    assert one.pings(f"{OUTSIDE}.1")
    with HOST.serves(lab.host_ports[0]) as opened, HOST.serves(0) as closed:
        client = one.connect(f"{OUTSIDE}.1", lab.host_ports[0])
        assert client is not None
        server, (source, _) = opened.accept()
        with client, server:
            assert source == f"{OUTSIDE}.10"
            assert echoes(client, server)
        assert not one.reaches(f"{OUTSIDE}.1", closed.getsockname()[1], wait=0.4)


def test_tenants_leave_by_ipv6_behind_the_routers_address(lab: Lab) -> None:
    prefix = f"fd99:{os.getpid() % 65536:x}"
    outside = lab.network(subnet(f"{OUTSIDE}.0/24"), subnet(f"{prefix}::/64"), external=True)
    inside = lab.network(subnet("fd01::/64"))
    lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10 {prefix}::10")
    one = lab.attach(inside, "fd01::5/64", groups=(lab.group(*OUTWARD),), gateways=("fd01::1",))
    assert one.pings(f"{prefix}::1")
    with HOST.serves(lab.host_ports[0], socket.AF_INET6) as opened:
        client = one.connect(f"{prefix}::1", lab.host_ports[0])
        assert client is not None
        server, (source, *_) = opened.accept()
        with client, server:
            assert source == f"{prefix}::10"


def test_a_floating_ip_leads_in_and_leads_out_and_ends_with_its_connections(lab: Lab) -> None:
    outside, inside = external(lab), lab.network(subnet("10.1.0.0/24"))
    router = lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10")
    one = lab.attach(inside, "10.1.0.5", groups=(lab.group(*EVERYTHING),), gateways=("10.1.0.1",))
    assert not HOST.pings("10.1.0.5", wait=0.3)
    with_ip = msgspec.structs.replace(router, floating_ips=(floating(f"{OUTSIDE}.50", "10.1.0.5"),))
    lab.driver.apply_router(with_ip)
    assert HOST.pings(f"{OUTSIDE}.50")
    with one.serves(80) as listener, HOST.serves(lab.host_ports[0]) as opened:
        client = HOST.connect(f"{OUTSIDE}.50", 80)
        assert client is not None
        server, _ = listener.accept()
        out = one.connect(f"{OUTSIDE}.1", lab.host_ports[0])
        assert out is not None
        accepted, (source, _) = opened.accept()
        assert source == f"{OUTSIDE}.50"
        with client, server, out, accepted:
            assert echoes(client, server)
            lab.driver.apply_router(router)
            assert not echoes(client, server)
        assert not HOST.reaches(f"{OUTSIDE}.50", 80, wait=0.4)


def test_a_floating_ip_moves_to_another_router_at_once(lab: Lab) -> None:
    outside, group = external(lab), lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.1.0.0/24"))
    left = lab.router(first, external=outside, gateway=f"{OUTSIDE}.10")
    right = lab.router(second, external=outside, gateway=f"{OUTSIDE}.11")
    one = lab.attach(first, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    two = lab.attach(second, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    address = (floating(f"{OUTSIDE}.50", "10.1.0.5"),)
    with one.serves(81), two.serves(82):
        lab.driver.apply_router(msgspec.structs.replace(left, floating_ips=address))
        assert HOST.reaches(f"{OUTSIDE}.50", 81)
        lab.driver.apply_router(left)
        lab.driver.apply_router(msgspec.structs.replace(right, floating_ips=address))
        assert HOST.reaches(f"{OUTSIDE}.50", 82)


def test_floating_ips_reach_each_other_through_one_router_and_through_two(lab: Lab) -> None:
    outside, group = external(lab), lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.1.0.0/24"))
    here = (floating(f"{OUTSIDE}.50", "10.1.0.5"), floating(f"{OUTSIDE}.51", "10.1.0.6"))
    lab.router(first, external=outside, gateway=f"{OUTSIDE}.10", floating_ips=here)
    there = (floating(f"{OUTSIDE}.60", "10.1.0.5"),)
    lab.router(second, external=outside, gateway=f"{OUTSIDE}.11", floating_ips=there)
    one = lab.attach(first, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    two = lab.attach(first, "10.1.0.6", groups=(group,), gateways=("10.1.0.1",))
    three = lab.attach(first, "10.1.0.7", groups=(group,), gateways=("10.1.0.1",))
    other = lab.attach(second, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    with two.serves(80) as listener, other.serves(80) as far:
        for client, source in ((one, f"{OUTSIDE}.50"), (three, f"{OUTSIDE}.10"), (two, f"{OUTSIDE}.51")):
            made = client.connect(f"{OUTSIDE}.51", 80)
            assert made is not None
            server, (seen, _) = listener.accept()
            with made, server:
                assert seen == source
        made = one.connect(f"{OUTSIDE}.60", 80)
        assert made is not None
        server, (seen, _) = far.accept()
        with made, server:
            assert seen == f"{OUTSIDE}.50"


def test_a_private_address_cannot_be_reached_from_the_external_network(lab: Lab) -> None:
    outside, group = external(lab), lab.group(*EVERYTHING)
    inside = lab.network(subnet("10.1.0.0/24"))
    lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10")
    lab.attach(inside, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    intruder = lab.attach(outside, f"{OUTSIDE}.99", groups=(group,))
    intruder.run("ip", "route", "add", "10.1.0.0/24", "via", f"{OUTSIDE}.10")
    assert intruder.pings(f"{OUTSIDE}.10")
    assert not intruder.pings("10.1.0.5", wait=0.4)


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_a_router_advertises_prefix_and_default_route(lab: Lab, mode: str) -> None:
    six = subnet("fd01::/64", ipv6_mode=mode)
    network, group = lab.network(six, mtu=1400), lab.group(*EVERYTHING)
    lab.router(network)
    end = lab.attach(network, groups=(group,), mtu=1400, mac="fa:16:3e:00:00:01")
    expected = "fd01::f816:3eff:fe00:1"
    assert until(lambda: expected in end.run("ip", "-6", "addr").stdout, 8)
    assert until(lambda: "default via fe80" in end.run("ip", "-6", "route").stdout, 8)


def test_an_advertised_address_may_be_used(lab: Lab) -> None:
    network, group = lab.network(subnet("fd01::/64", ipv6_mode="slaac")), lab.group(*EVERYTHING)
    lab.router(network)
    one = lab.attach(network, "fd01::f816:3eff:fe00:1/64", groups=(group,), mac="fa:16:3e:00:00:01")
    two = lab.attach(network, "fd01::f816:3eff:fe00:2/64", groups=(group,), mac="fa:16:3e:00:00:02")
    assert until(lambda: "default via fe80" in one.run("ip", "-6", "route").stdout, 8)
    assert two.pings("fd01::f816:3eff:fe00:1")
    assert one.pings("fd01::1")


def test_a_router_has_no_open_port(lab: Lab) -> None:
    network = lab.network(subnet("10.1.0.0/24"))
    router = lab.router(network)
    one = lab.attach(network, "10.1.0.5", groups=(lab.group(*EVERYTHING),), gateways=("10.1.0.1",))
    assert one.pings("10.1.0.1")
    with one.new_socket(socket.SOCK_STREAM) as tried:
        tried.settimeout(0.4)
        with pytest.raises(TimeoutError):
            tried.connect(("10.1.0.1", 22))
    lab.driver.remove_router(router.id)
    assert not one.pings("10.1.0.1", wait=0.3)


def test_an_address_that_the_host_has_already_is_refused(lab: Lab) -> None:
    external(lab)
    with pytest.raises(HostError, match="another subnet"):
        external(lab)
    assert len(lab.driver.observe().networks) == 1


@pytest.fixture
def far_away(lab: Lab) -> Iterator[Endpoint]:
    """A machine beyond the host, joined to the host by a wire that is not the cloud's."""
    end, device = lab.place(), f"syt{lab.cloud}"
    made = run("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", end.name)
    assert made.returncode == 0, made.stderr
    try:
        run("ip", "addr", "add", f"{BEYOND}.1/24", "dev", device)
        run("ip", "link", "set", device, "up")
        end.run("ip", "addr", "add", f"{BEYOND}.2/24", "dev", "eth0")
        end.run("ip", "link", "set", "eth0", "up")
        yield end
    finally:
        run("ip", "link", "del", device)


def test_tenants_reach_the_world_beyond_behind_the_hosts_address(lab: Lab, far_away: Endpoint) -> None:
    outside, inside = external(lab), lab.network(subnet("10.1.0.0/24"))
    lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10")
    one = lab.attach(inside, "10.1.0.5", groups=(lab.group(*OUTWARD),), gateways=("10.1.0.1",))
    assert until(lambda: HOST.pings(f"{BEYOND}.2"))
    with far_away.serves(80) as listener:
        client = one.connect(f"{BEYOND}.2", 80)
        assert client is not None
        server, (source, _) = listener.accept()
        with client, server:
            assert source == f"{BEYOND}.1"
            assert echoes(client, server)


def test_another_programs_filter_is_told_to_let_the_device_pass() -> None:
    def body() -> tuple[str, str]:
        netns.unshare()
        run("iptables", "-P", "FORWARD", "DROP")
        run("iptables", "-N", "DOCKER-USER")
        for _ in range(2):
            host_side.pass_foreign_filters("sytest")
        during = run("iptables", "-S").stdout
        host_side.restore_foreign_filters("sytest")
        return during, run("iptables", "-S").stdout

    during, after = netns.in_thread(body)
    assert during.count("-A DOCKER-USER -i sytest -j ACCEPT") == 1
    assert during.count("-A DOCKER-USER -o sytest -j ACCEPT") == 1
    assert "sytest" not in after
    assert "-P FORWARD DROP" in after


def test_a_filter_that_drops_nothing_is_left_alone() -> None:
    def body() -> str:
        netns.unshare()
        host_side.pass_foreign_filters("sytest")
        return run("iptables", "-S").stdout

    assert "sytest" not in netns.in_thread(body)
