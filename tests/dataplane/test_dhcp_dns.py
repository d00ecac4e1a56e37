"""The network's server: leases, options and names."""

from __future__ import annotations

import os
import signal
import socket
import struct
from pathlib import Path

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Endpoint, Lab, new_mac, run, subnet, until

from stackyard.host.network import names, servers
from stackyard.host.specs import HostRecord, Route

pytestmark = pytest.mark.root

LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] && env > "$LEASE_FILE"
exit 0
"""


def lease(end: Endpoint, directory: Path) -> dict[str, str]:
    """What busybox's DHCP client is given."""
    script, answer = directory / "script", directory / f"lease-{end.name}"
    script.write_text(LEASE_SCRIPT)
    script.chmod(0o755)
    options = [word for name in ("mtu", "staticroutes", "search") for word in ("-O", name)]
    command = ["env", f"LEASE_FILE={answer}", "busybox", "udhcpc", "-i", "eth0", "-s", str(script)]
    done = end.run(*command, *options, "-n", "-q", "-t", "5", "-T", "1", "-f")
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in answer.read_text().splitlines() if "=" in line)


def lookup(end: Endpoint, name: str, server: str) -> str:
    """What the name server says of the name."""
    done = end.run("busybox", "nslookup", name, server)
    return done.stdout.partition("\n\n")[2]


def test_a_client_gets_its_address_and_options(lab: Lab, tmp_path: Path) -> None:
    mac = new_mac()
    routed = subnet("10.1.0.0/24", host_routes=(Route(destination="10.9.0.0/16", next_hop="10.1.0.254"),))
    host = HostRecord(mac=mac, ips=("10.1.0.77",), names=("web",))
    network = lab.served_network(routed, hosts=(host,), mtu=1400)
    end = lab.attach(network, "10.1.0.77", groups=(lab.group(),), mac=mac, mtu=1400)
    end.run("ip", "addr", "flush", "dev", "eth0", "scope", "global")
    got = lease(end, tmp_path)
    assert got["ip"] == "10.1.0.77"
    assert got["router"] == "10.1.0.1"
    assert got["dns"] == "10.1.0.2"
    assert got["mtu"] == "1400"
    assert "10.9.0.0/16 10.1.0.254" in got["staticroutes"]
    assert "0.0.0.0/0 10.1.0.1" in got["staticroutes"]
    assert got["domain"] == "openstacklocal"


def test_a_stranger_gets_no_lease(lab: Lab, tmp_path: Path) -> None:
    network = lab.served_network(subnet("10.1.0.0/24"))
    end = lab.attach(network, "10.1.0.77", groups=(lab.group(),))
    end.run("ip", "addr", "flush", "dev", "eth0", "scope", "global")
    with pytest.raises(AssertionError):
        lease(end, tmp_path)


def test_names_resolve_bare_and_with_the_domain_and_follow_changes(lab: Lab) -> None:
    host = HostRecord(mac=new_mac(), ips=("10.1.0.5", "fd01::5"), names=("web", "front"))
    network = lab.served_network(subnet("10.1.0.0/24"), hosts=(host,), dns_domain="example.org")
    end = lab.attach(network, "10.1.0.6", groups=(lab.group(*EVERYTHING),))
    for name in ("web", "front", "web.example.org"):
        assert "10.1.0.5" in lookup(end, name, "10.1.0.2")
    assert "fd01::5" in lookup(end, "web", "10.1.0.2")
    pid = server_pid(lab, network.id)
    other = HostRecord(mac=new_mac(), ips=("10.1.0.9",), names=("db",))
    lab.driver.apply_network(msgspec.structs.replace(network, hosts=(other,)))
    assert until(lambda: "10.1.0.9" in lookup(end, "db", "10.1.0.2"))
    assert "10.1.0.5" not in lookup(end, "web", "10.1.0.2")
    assert server_pid(lab, network.id) == pid


def server_pid(lab: Lab, network_id: str) -> int:
    return int((lab.directory / "dns" / names.short(network_id) / "pid").read_text())


def test_a_server_outlives_the_driver_and_is_started_again_when_dead(lab: Lab) -> None:
    host = HostRecord(mac=new_mac(), ips=("10.1.0.5",), names=("web",))
    network = lab.served_network(subnet("10.1.0.0/24"), hosts=(host,))
    end = lab.attach(network, "10.1.0.6", groups=(lab.group(*EVERYTHING),))
    pid = server_pid(lab, network.id)
    lab.restart_driver()
    lab.driver.apply_network(network)
    assert server_pid(lab, network.id) == pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: network.id in lab.driver.observe().problems)
    lab.driver.apply_network(network)
    assert "10.1.0.5" in lookup(end, "web", "10.1.0.2")
    assert lab.driver.observe().problems == {}


def test_the_server_goes_with_its_service_port(lab: Lab) -> None:
    network = lab.served_network(subnet("10.1.0.0/24"))
    pid = server_pid(lab, network.id)
    lab.driver.apply_network(msgspec.structs.replace(network, service_port=None))
    assert not Path(f"/proc/{pid}").exists() or until(lambda: not Path(f"/proc/{pid}").exists())
    assert names.server_namespace(lab.cloud, network.id) not in run("ip", "netns").stdout


def test_dhcp_for_ipv6_gives_the_recorded_address(lab: Lab) -> None:
    mac = new_mac()
    six = subnet("fd01::/64", ipv6_mode="dhcpv6-stateful")
    network = lab.served_network(six, hosts=(HostRecord(mac=mac, ips=("fd01::77",), names=("web",)),))
    end = lab.attach(network, "fd01::77/64", groups=(lab.group(),), mac=mac)
    end.run("ip", "-6", "addr", "flush", "dev", "eth0", "scope", "global")
    assert socket.inet_pton(socket.AF_INET6, "fd01::77") in advertised6(end, mac)


def advertised6(end: Endpoint, mac: str) -> bytes:
    """What a DHCPv6 server advertises to a client with that MAC."""
    client = struct.pack("!HHHH", 1, 10, 3, 1) + bytes.fromhex(mac.replace(":", ""))
    association = struct.pack("!HHIII", 3, 12, 1, 0, 0)
    with end.new_socket(socket.SOCK_DGRAM, socket.AF_INET6) as channel:
        index = end.within(lambda: socket.if_nametoindex("eth0"))
        channel.bind(("", 546))
        channel.settimeout(3)
        channel.sendto(b"\x01abc" + client + association, ("ff02::1:2", 547, 0, index))
        return channel.recv(2000)


def test_other_names_are_asked_of_the_hosts_servers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    far = lab.place()
    monkeypatch.setattr(servers, "host_resolvers", lambda: ("10.1.0.53",))
    network = lab.served_network(subnet("10.1.0.0/24"))
    group = lab.group(*EVERYTHING)
    lab.attach(network, "10.1.0.53", groups=(group,), at=far)
    end = lab.attach(network, "10.1.0.6", groups=(group,))
    with far.new_socket(socket.SOCK_DGRAM) as resolver, end.new_socket(socket.SOCK_DGRAM) as asker:
        resolver.bind(("", 53))
        resolver.settimeout(3)
        question = b"\x07example\x03com\x00\x00\x01\x00\x01"
        asker.sendto(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + question, ("10.1.0.2", 53))
        assert question in resolver.recv(500)
