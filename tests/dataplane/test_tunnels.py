"""Networks that span hosts: two drivers, each in a namespace that stands for a host of its own."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.dataplane.lab import OUTWARD, allow, new_id, subnet, until
from tests.dataplane.two_hosts import Host, Spanning, Underlay, captured

from stackyard.host.errors import SpecError
from stackyard.host.network import names
from stackyard.host.specs import NetworkSpec, Segment, TunnelPeer

pytestmark = pytest.mark.root


@pytest.fixture
def underlay(tmp_path: Path) -> Iterator[Underlay]:
    made = Underlay(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def hosts(underlay: Underlay) -> list[Host]:
    return [underlay.host(), underlay.host()]


def spanning(hosts: list[Host], **options: object) -> Spanning:
    made = Spanning(hosts, int(new_id()[:5], 16) + 1, (subnet("10.1.0.0/24"),), **options)
    made.apply()
    return made


def flags(host: Host, network: Spanning) -> str:
    return host.lab.fabric.run("bridge", "-d", "link", "show", "dev", names.tunnel(network.id)).stdout


def test_ports_of_one_network_reach_each_other_across_hosts(hosts: list[Host]) -> None:
    network = spanning(hosts)
    one = network.attach(hosts[0], "10.1.0.5", "fd01::5/64")
    two = network.attach(hosts[1], "10.1.0.6", "fd01::6/64")
    assert one.pings("10.1.0.6")
    assert two.pings("10.1.0.5")
    assert one.pings("fd01::6")
    with two.serves(80):
        assert one.reaches("10.1.0.6", 80)


def test_full_packets_pass_and_are_wrapped_once(hosts: list[Host], underlay: Underlay) -> None:
    network = spanning(hosts)
    one, two = network.attach(hosts[0], "10.1.0.5"), network.attach(hosts[1], "10.1.0.6")
    assert one.pings("10.1.0.6")
    with captured(underlay.middle, "h1", "udp port 4789") as packets:
        done = one.run("ping", "-n", "-c1", "-W1", "-M", "do", "-s", str(1450 - 28), "10.1.0.6")
    assert done.returncode == 0, done.stdout + done.stderr
    echoes = [line for line in packets if "ICMP echo" in line]
    assert len(echoes) == 2, packets
    assert all("192.0.2.1" in line and "192.0.2.2" in line and "length 1514" in line for line in echoes)
    assert two.run("ping", "-n", "-c1", "-W1", "-M", "do", "-s", str(1451 - 28), "10.1.0.5").returncode != 0


def test_what_is_known_is_asked_of_nobody(hosts: list[Host], underlay: Underlay) -> None:
    network = spanning(hosts)
    one = network.attach(hosts[0], "10.1.0.5", "fd01::5/64")
    network.attach(hosts[1], "10.1.0.6", "fd01::6/64")
    network.attach(hosts[0], "10.1.0.7")
    for host in hosts:
        assert "neigh_suppress on" in flags(host, network)
        assert "learning off" in flags(host, network)
    with captured(underlay.middle, "h1", "udp port 4789") as packets:
        assert one.pings("10.1.0.6")
        assert one.pings("fd01::6")
        assert one.pings("10.1.0.7")
    assert packets
    assert [line for line in packets if "ARP" in line] == []
    assert [line for line in packets if "who has fd01::6" in line or "10.1.0.7" in line] == []


def test_what_is_for_all_goes_to_the_hosts_of_the_network_and_no_other(underlay: Underlay) -> None:
    three = [underlay.host() for _ in range(3)]
    network = spanning(three[:2])
    one = network.attach(three[0], "10.1.0.5")
    network.attach(three[1], "10.1.0.6")
    with captured(underlay.middle, "wire", "udp port 4789") as packets:
        one.run("ping", "-n", "-c1", "-W0.3", "-b", "10.1.0.255")
        one.run("ping", "-n", "-c1", "-W0.3", "10.1.0.77")  # which nobody has
    assert any("ARP" in line for line in packets)
    assert all("192.0.2.2" in line for line in packets)
    assert not any("192.0.2.3" in line for line in packets)


def test_security_groups_hold_across_hosts(hosts: list[Host]) -> None:
    network = spanning(hosts)
    group = msgspec.structs.replace(
        hosts[0].lab.group(), members=("10.1.0.5",), rules=(*OUTWARD, allow("ingress", remote_group="x"))
    )
    group = msgspec.structs.replace(group, rules=(*OUTWARD, allow("ingress", remote_group=group.id)))
    for host in hosts:
        host.lab.driver.apply_security_group(group)
    inside = network.attach(hosts[0], "10.1.0.5", groups=(group,))
    stranger = network.attach(hosts[0], "10.1.0.9")
    guarded = network.attach(hosts[1], "10.1.0.6", groups=(group,))
    with guarded.serves(80):
        assert inside.reaches("10.1.0.6", 80)
        assert not stranger.reaches("10.1.0.6", 80, wait=0.5)
    stranger.run("ip", "addr", "add", "10.1.0.5/24", "dev", "eth0")
    assert stranger.run("ping", "-n", "-c1", "-W0.4", "-I", "10.1.0.5", "10.1.0.6").returncode != 0


def test_two_networks_are_apart_though_their_addresses_are_the_same(hosts: list[Host]) -> None:
    first, second = spanning(hosts), spanning(hosts)
    one = first.attach(hosts[0], "10.1.0.5")
    second.attach(hosts[1], "10.1.0.6")
    assert not one.pings("10.1.0.6", wait=0.5)
    first.attach(hosts[1], "10.1.0.6")
    assert one.pings("10.1.0.6")


def test_a_port_that_moves_is_found_where_it_is(hosts: list[Host]) -> None:
    network = spanning(hosts)
    one, two = network.attach(hosts[0], "10.1.0.5"), network.attach(hosts[1], "10.1.0.6")
    assert one.pings("10.1.0.6")
    moved = network.move(two, hosts[0])
    assert until(lambda: one.pings("10.1.0.6"))
    assert moved.pings("10.1.0.5")
    back = network.move(moved, hosts[1])
    assert until(lambda: one.pings("10.1.0.6"))
    assert back.pings("10.1.0.5")


def test_each_host_answers_its_own_names_and_leases(hosts: list[Host], underlay: Underlay) -> None:
    network = spanning(hosts, served=True)
    one, two = network.attach(hosts[0], "10.1.0.5"), network.attach(hosts[1], "10.1.0.6")
    server = "10.1.0.2"
    with captured(underlay.middle, "wire", "udp port 4789") as packets:
        for end in (one, two):
            for name, address in (("host-10-1-0-5", "10.1.0.5"), ("host-10-1-0-6", "10.1.0.6")):
                found = end.run("busybox", "nslookup", f"{name}.openstacklocal", server)
                assert address in found.stdout, found.stdout + found.stderr
            lease = end.run("busybox", "udhcpc", "-n", "-q", "-t", "3", "-T", "1", "-i", "eth0", "-s", "/bin/true")
            assert end.address in lease.stdout + lease.stderr
    assert [
        line for line in packets if server in line or network.service.mac in line or re.search(r"\.67(?::| >)", line)
    ] == []


def test_a_tunnel_is_adopted_and_repaired(hosts: list[Host]) -> None:
    network = spanning(hosts, served=True)
    one, _ = network.attach(hosts[0], "10.1.0.5", "fd01::5/64"), network.attach(hosts[1], "10.1.0.6", "fd01::6/64")
    assert one.pings("10.1.0.6")
    lab, tunnel = hosts[0].lab, names.tunnel(network.id)
    index = lab.fabric.within(lambda: socket.if_nametoindex(tunnel))
    lab.restart_driver()
    lab.driver.apply_network(network.spec(hosts[0]))
    assert lab.fabric.within(lambda: socket.if_nametoindex(tunnel)) == index, "the tunnel was made anew"
    remote = network.ends[1][1].port
    bridge = names.bridge(network.id)
    for damage in (
        ("ip", "link", "del", tunnel),
        ("ip", "link", "set", tunnel, "down"),
        ("ip", "link", "set", tunnel, "nomaster"),
        ("bridge", "fdb", "del", remote.mac, "dev", tunnel, "dst", hosts[1].address, "self"),
        ("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", tunnel, "dst", "192.0.2.77", "self"),
        ("ip", "neigh", "del", "10.1.0.6", "dev", bridge),
        ("ip", "neigh", "flush", "dev", bridge, "nud", "permanent"),
        ("nft", "flush", "chain", "bridge", "stackyard", f"out_{names.short(network.id)}"),
        ("nft", "flush", "chain", "netdev", "stackyard", f"out_{tunnel}"),
        ("nft", "delete", "chain", "netdev", "stackyard", f"in_{tunnel}"),
    ):
        done = lab.fabric.run(*damage)
        assert done.returncode == 0, (damage, done.stderr)
        assert network.id in lab.driver.observe().problems, damage
        lab.driver.apply_network(network.spec(hosts[0]))
        assert lab.driver.observe().problems == {}, damage
        assert one.pings("10.1.0.6"), damage
        assert one.pings("fd01::6"), damage


def test_ports_that_come_and_go_take_nothing_from_the_tunnel(hosts: list[Host]) -> None:
    network = spanning(hosts)
    network.attach(hosts[1], "10.1.0.6")
    for number in range(12):
        end = hosts[0].lab.attach(
            network.spec(hosts[0]), f"10.1.0.{20 + number}", mac=f"00:00:00:00:{99 - number:02}:05"
        )
        assert hosts[0].lab.driver.observe().problems == {}
        if number % 2:
            hosts[0].lab.driver.remove_port(end.port.id)


def test_a_network_that_nobody_shares_any_more_has_no_tunnel(hosts: list[Host]) -> None:
    network = spanning(hosts)
    one = network.attach(hosts[0], "10.1.0.5")
    network.attach(hosts[1], "10.1.0.6")
    assert one.pings("10.1.0.6")
    alone = msgspec.structs.replace(network.spec(hosts[0]), peers=())
    hosts[0].lab.driver.apply_network(alone)
    fabric = hosts[0].lab.fabric
    assert names.tunnel(network.id) not in fabric.run("ip", "link").stdout
    assert "PERMANENT" not in fabric.run("ip", "neigh", "show", "dev", names.bridge(network.id)).stdout
    assert not one.pings("10.1.0.6", wait=0.4)
    assert hosts[0].lab.driver.observe().problems == {}
    hosts[0].lab.driver.apply_network(network.spec(hosts[0]))
    assert one.pings("10.1.0.6")
    hosts[0].lab.driver.remove_network(network.id)
    assert names.tunnel(network.id) not in fabric.run("ip", "link").stdout


def test_a_tunnel_that_cannot_be_says_why(hosts: list[Host]) -> None:
    driver = hosts[0].lab.driver
    segment = Segment(network_type="vxlan", segmentation_id=77)
    spec = NetworkSpec(id=new_id(), segment=segment, peers=(TunnelPeer(address="fd00::1"),))
    with pytest.raises(SpecError, match="two IP versions"):
        driver.apply_network(spec)
    assert names.bridge(spec.id) not in hosts[0].lab.fabric.run("ip", "link").stdout
    with pytest.raises(SpecError, match="vxlan number"):
        driver.apply_network(msgspec.structs.replace(spec, segment=Segment(network_type="vxlan")))
