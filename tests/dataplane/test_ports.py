"""Ports on one network: who reaches whom, and what a tenant cannot pretend to be."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, OUTWARD, Lab, allow, echoes, new_mac, run, subnet, until

from stackyard.host.network import names
from stackyard.host.network.checks import PROTOCOLS
from stackyard.host.network.fabric import Fabric
from stackyard.host.specs import AddressPair

pytestmark = pytest.mark.root


def test_ports_of_one_network_reach_each_other(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    two = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(group,))
    assert one.pings("10.1.0.6")
    assert one.pings("fd01::6")
    with two.serves(80):
        assert one.reaches("10.1.0.6", 80)


def test_nothing_is_let_in_that_no_rule_allows(lab: Lab) -> None:
    network, closed = lab.network(subnet("10.1.0.0/24")), lab.group(*OUTWARD)
    one = lab.attach(network, "10.1.0.5", groups=(closed,))
    two = lab.attach(network, "10.1.0.6", groups=(closed,))
    three = lab.attach(network, "10.1.0.7")
    with two.serves(80):
        assert not one.reaches("10.1.0.6", 80, wait=0.4)
        assert not three.reaches("10.1.0.6", 80, wait=0.4)
    assert not one.pings("10.1.0.6", wait=0.4)


def test_a_port_before_its_group_and_network_is_closed_and_opens_with_them(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    late = msgspec.structs.replace(group, id=group.id[::-1].replace("-", "f")[:36])
    network = lab.network(subnet("10.1.0.0/24"))
    lab.driver.remove_network(network.id)
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    lab.attach(network, "10.1.0.6", groups=(late,))
    assert not one.pings("10.1.0.6", wait=0.3)
    assert one.port.id in lab.driver.observe().problems
    lab.driver.apply_network(network)
    assert not one.pings("10.1.0.6", wait=0.3)
    lab.driver.apply_security_group(late)
    assert one.pings("10.1.0.6")


def test_a_spoofed_address_or_mac_goes_nowhere(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    two = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(group,))
    assert one.pings("10.1.0.6")
    one.run("ip", "addr", "add", "10.1.0.99/24", "dev", "eth0")
    one.run("ip", "addr", "add", "fd01::99/64", "dev", "eth0", "nodad")
    assert one.run("ping", "-n", "-c1", "-W0.4", "-I", "10.1.0.99", "10.1.0.6").returncode != 0
    assert one.run("ping", "-n", "-c1", "-W0.4", "-I", "fd01::99", "fd01::6").returncode != 0
    one.run("ip", "addr", "del", "10.1.0.99/24", "dev", "eth0")
    one.run("ip", "link", "set", "eth0", "address", new_mac())
    two.run("ip", "neigh", "flush", "dev", "eth0")
    assert not one.pings("10.1.0.6", wait=0.4)


def test_an_allowed_pair_may_send_and_a_port_without_security_may_send_anything(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    pairs = (AddressPair(ip="10.1.0.96/28"), AddressPair(ip="fd01:0:0:0:1::/80"))
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,), allowed_pairs=pairs)
    two = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(group,))
    free = lab.attach(network, "10.1.0.7", port_security=False)
    one.run("ip", "addr", "add", "10.1.0.99/24", "dev", "eth0")
    one.run("ip", "addr", "add", "fd01::1:0:0:99/64", "dev", "eth0", "nodad")
    assert one.run("ping", "-n", "-c1", "-W1", "-I", "10.1.0.99", "10.1.0.6").returncode == 0
    assert one.run("ping", "-n", "-c1", "-W1", "-I", "fd01::1:0:0:99", "fd01::6").returncode == 0
    free.run("ip", "addr", "add", "10.1.0.77/24", "dev", "eth0")
    assert free.run("ping", "-n", "-c1", "-W1", "-I", "10.1.0.77", "10.1.0.6").returncode == 0
    assert two.pings("10.1.0.77")


def test_networks_with_the_same_addresses_do_not_meet(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.1.0.0/24"))
    one = lab.attach(first, "10.1.0.5", groups=(group,))
    two = lab.attach(first, "10.1.0.6", groups=(group,))
    other = lab.attach(second, "10.1.0.5", groups=(group,))
    stranger = lab.attach(second, "10.1.0.6", groups=(group,))
    with two.serves(80), stranger.serves(81):
        assert one.reaches("10.1.0.6", 80)
        assert other.reaches("10.1.0.6", 81)
        assert not one.reaches("10.1.0.6", 81, wait=0.4)
        assert not other.reaches("10.1.0.6", 80, wait=0.4)


def test_a_rule_opens_and_closes_and_cuts_what_it_had_allowed(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    server_group = lab.group(*OUTWARD, allow("ingress", protocol="tcp", port_min=80, port_max=80))
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    two = lab.attach(network, "10.1.0.6", groups=(server_group,))
    with two.serves(80) as listener, two.serves(81):
        client = one.connect("10.1.0.6", 80)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            assert echoes(client, server)
            assert not one.reaches("10.1.0.6", 81, wait=0.4)
            lab.driver.apply_security_group(msgspec.structs.replace(server_group, rules=OUTWARD))
            assert not echoes(client, server)
            assert not echoes(server, client)
            assert not one.reaches("10.1.0.6", 80, wait=0.4)
        lab.driver.apply_security_group(server_group)
        assert one.reaches("10.1.0.6", 80)


def test_a_rule_may_name_the_members_of_a_group(lab: Lab) -> None:
    network = lab.network(subnet("10.1.0.0/24"))
    clients = lab.group(*OUTWARD, members=("10.1.0.5",))
    servers = lab.group(*OUTWARD, allow("ingress", remote_group=clients.id))
    one = lab.attach(network, "10.1.0.5", groups=(clients,))
    two = lab.attach(network, "10.1.0.6", groups=(clients,))
    three = lab.attach(network, "10.1.0.7", groups=(servers,))
    with three.serves(80) as listener:
        assert not two.reaches("10.1.0.7", 80, wait=0.4)
        client = one.connect("10.1.0.7", 80)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            assert echoes(client, server)
            lab.driver.apply_security_group(msgspec.structs.replace(clients, members=("10.1.0.6",)))
            assert not echoes(client, server)
        assert two.reaches("10.1.0.7", 80)
        assert not one.reaches("10.1.0.7", 80, wait=0.4)
        lab.driver.remove_security_group(clients.id)
        assert not two.reaches("10.1.0.7", 80, wait=0.4)


def test_ports_protocols_and_icmp_types_are_told_apart(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    picky = lab.group(
        *OUTWARD,
        allow("ingress", protocol="tcp", port_min=8000, port_max=8010, remote_cidr="10.1.0.0/29"),
        allow("ingress", protocol="icmp", port_min=8, port_max=0),
    )
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    far = lab.attach(network, "10.1.0.50", groups=(group,))
    two = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(picky,))
    with two.serves(8005), two.serves(8011):
        assert one.reaches("10.1.0.6", 8005)
        assert not one.reaches("10.1.0.6", 8011, wait=0.4)
        assert not far.reaches("10.1.0.6", 8005, wait=0.4)
    assert far.pings("10.1.0.6")
    assert not one.pings("fd01::6", wait=0.4)


def test_the_kernel_takes_every_protocol_and_range(lab: Lab) -> None:
    rules = [
        allow(direction, version, protocol=name)
        for name in (*PROTOCOLS, "0", "200", "255", "any")
        for version in (4, 6)
        for direction in ("ingress", "egress")
        if not (version == 4 and PROTOCOLS.get(name) == 58)
    ]
    ranges = ((0, 65535), (0, 0), (65535, 65535), (1, None), (None, 9), (53, 54))
    for name in ("tcp", "udp", "sctp", "dccp", "udplite"):
        rules += [allow("ingress", 4, protocol=name, port_min=low, port_max=high) for low, high in ranges]
    for version in (4, 6):
        icmp = ((0, None), (255, 255), (8, 0), (3, 4))
        rules += [allow("ingress", version, protocol="icmp", port_min=kind, port_max=code) for kind, code in icmp]
        rules += [allow("egress", version, remote_group="friends")]
    four = ("0.0.0.0/0", "10.0.0.1", "10.0.0.1/8", "255.255.255.255")
    six = ("::/0", "fd00::1", "fd00::1/7", "::1/128", "::ffff:1.2.3.4")
    rules += [allow("ingress", 6 if ":" in item else 4, remote_cidr=item) for item in (*four, *six)]
    lab.group(*rules, members=("10.0.0.1", "fd00::1", "::ffff:1.2.3.4", "0.0.0.0"))
    assert lab.driver.observe().problems == {}


def test_a_port_that_is_down_carries_nothing(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    two = lab.attach(network, "10.1.0.6", groups=(group,), admin_up=False)
    assert not one.pings("10.1.0.6", wait=0.4)
    lab.driver.apply_port(msgspec.structs.replace(two.port, admin_up=True))
    assert one.pings("10.1.0.6")


def test_a_port_changes_its_address_and_moves_with_a_replaced_namespace(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    two = lab.attach(network, "10.1.0.6", groups=(group,))
    moved = msgspec.structs.replace(two.port, addresses=lab.attach(network, "10.1.0.8").port.addresses)
    lab.driver.remove_port(lab.driver.observe().ports.difference({one.port.id, two.port.id}).pop())
    lab.driver.apply_port(moved)
    assert one.pings("10.1.0.8")
    assert "10.1.0.6" not in two.run("ip", "addr").stdout
    run("ip", "netns", "del", two.name)
    assert until(lambda: lab.outer(two) not in lab.fabric.run("ip", "link").stdout)
    run("ip", "netns", "add", two.name)
    lab.driver.apply_port(moved)
    assert one.pings("10.1.0.8")
    lab.driver.remove_port(two.port.id)
    lab.driver.remove_port(two.port.id)
    assert "eth0" not in two.run("ip", "link").stdout


def test_two_ports_in_one_namespace_with_mtu_and_routes(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24"), mtu=1400), lab.network(subnet("10.2.0.0/24"))
    end = lab.attach(first, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",), mtu=1400)
    lab.attach(second, "10.2.0.5", groups=(group,), gateways=("10.2.0.1",), device="eth1", at=end)
    shown = end.run("ip", "route").stdout
    assert shown.splitlines()[0].startswith("default via 10.1.0.1 dev eth0")
    assert "default via 10.2.0.1 dev eth1" in shown
    assert "mtu 1400" in end.run("ip", "link", "show", "eth0").stdout


def test_large_packets_pass_in_pieces(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(group,))
    assert one.run("ping", "-n", "-c1", "-W1", "-s", "4000", "10.1.0.6").returncode == 0
    assert one.run("ping", "-n", "-c1", "-W1", "-s", "4000", "fd01::6").returncode == 0


def test_a_namespace_that_forbids_ipv6_gets_it_with_its_port(lab: Lab) -> None:
    network, group = lab.network(subnet("fd01::/64")), lab.group(*EVERYTHING)
    end = lab.place()
    end.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    lab.attach(network, "fd01::5/64", groups=(group,), at=end, gateways=("fd01::1",))
    other = lab.attach(network, "fd01::6/64", groups=(group,))
    assert other.pings("fd01::5")


def test_a_tenant_cannot_play_dhcp_server_or_router(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    rogue = lab.attach(network, "10.1.0.5", groups=(group,))
    victim = lab.attach(network, "10.1.0.6", groups=(group,))
    with victim.new_socket(socket.SOCK_DGRAM) as ear, rogue.new_socket(socket.SOCK_DGRAM) as mouth:
        ear.bind(("", 68))
        ear.settimeout(0.4)
        mouth.bind(("", 67))
        mouth.sendto(b"offer", ("10.1.0.6", 68))
        with pytest.raises(TimeoutError):
            ear.recv(100)


def test_a_port_that_has_lost_its_filter_is_closed(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    free = lab.attach(network, "10.1.0.7", port_security=False)
    assert one.pings("10.1.0.7")
    for name in ("spoof", "egress", "ingress"):
        lab.fabric.run("nft", "flush", "map", "bridge", "stackyard", name)
    assert not one.pings("10.1.0.7", wait=0.4)
    assert not free.pings("10.1.0.5", wait=0.4)
    assert one.port.id in lab.driver.observe().problems
    lab.driver.apply_port(one.port)
    assert free.pings("10.1.0.5")


def test_ports_removed_together_are_gone_and_may_come_back(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    ends = [lab.attach(network, f"10.1.0.{number}", groups=(group,)) for number in range(5, 13)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda end: lab.driver.remove_port(end.port.id), ends))
        assert lab.driver.observe().ports == frozenset()
        assert not any("eth0" in end.run("ip", "link").stdout for end in ends)
        list(pool.map(lambda end: lab.driver.apply_port(end.port), ends))
    assert ends[0].pings("10.1.0.12")


def test_a_port_whose_device_goes_while_it_is_removed_is_gone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,))
    found = Fabric.index

    def index_and_gone(fabric: Fabric, name: str) -> int | None:
        index = found(fabric, name)
        if index is not None and name == names.port(one.port.id):
            fabric.ip.link("del", index=index)  # as the kernel does when the namespace of the other end ends
        return index

    monkeypatch.setattr(Fabric, "index", index_and_gone)
    lab.driver.remove_port(one.port.id)
    assert one.port.id not in lab.driver.observe().ports


def test_only_the_connections_of_one_zone_end(lab: Lab) -> None:
    group = lab.group(*EVERYTHING)
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.1.0.0/24"))
    pairs = [
        (lab.attach(net, "10.1.0.5", groups=(group,)), lab.attach(net, "10.1.0.6", groups=(group,)))
        for net in (first, second)
    ]
    with pairs[0][1].serves(80) as here, pairs[1][1].serves(80) as there:
        one, other = (left.connect("10.1.0.6", 80) for left, _ in pairs)
        assert one is not None
        assert other is not None
        (one_end, _), (other_end, _) = here.accept(), there.accept()
        with one, other, one_end, other_end:
            zone = lab.driver._fabric.zones[first.id]
            fabric = lab.driver._fabric
            assert fabric.run(lambda: fabric.end_connections(lambda _: True, zone)) >= 1
            assert not echoes(one, one_end)
            assert echoes(other, other_end)
