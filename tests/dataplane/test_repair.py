"""What somebody broke comes back at the next apply; what an earlier run left is adopted; purge leaves nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, HOST, OUTSIDE, Endpoint, Lab, new_id, new_mac, run, subnet, until

from stackyard.host.errors import HostError
from stackyard.host.network import names
from stackyard.host.network.features import network_features
from stackyard.host.specs import FloatingIPSpec, HostRecord, NetworkSpec, RouterSpec, SecurityGroupSpec

pytestmark = pytest.mark.root


@dataclass
class Cloud:
    """A whole little cloud."""

    lab: Lab
    outside: NetworkSpec
    inside: NetworkSpec
    group: SecurityGroupSpec
    router: RouterSpec
    one: Endpoint
    two: Endpoint

    def apply_all(self) -> None:
        driver = self.lab.driver
        for network in (self.outside, self.inside):
            driver.apply_network(network)
        driver.apply_security_group(self.group)
        driver.apply_router(self.router)
        for end in (self.one, self.two):
            driver.apply_port(end.port)

    def works(self) -> bool:
        """Every kind of path, by packets."""
        named = self.one.run("busybox", "nslookup", "two", "10.1.0.2").stdout
        return (
            self.one.pings("10.1.0.6", wait=0.5)
            and self.one.pings("fd01::6", wait=0.5)
            and self.one.pings(f"{OUTSIDE}.1", wait=0.5)
            and HOST.pings(f"{OUTSIDE}.50", wait=0.5)
            and "10.1.0.6" in named
        )


@pytest.fixture
def cloud(lab: Lab) -> Cloud:
    outside = lab.network(subnet(f"{OUTSIDE}.0/24"), external=True)
    hosts = (HostRecord(mac=new_mac(), ips=("10.1.0.6",), names=("two",)),)
    six = subnet("fd01::/64", ipv6_mode="slaac")
    inside = lab.served_network(subnet("10.1.0.0/24"), six, hosts=hosts)
    floating = FloatingIPSpec(id=new_id(), floating_ip=f"{OUTSIDE}.50", fixed_ip="10.1.0.6")
    router = lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10", floating_ips=(floating,))
    group = lab.group(*EVERYTHING)
    gateways = ("10.1.0.1", "fd01::1")
    one = lab.attach(inside, "10.1.0.5", "fd01::5/64", groups=(group,), gateways=gateways)
    two = lab.attach(inside, "10.1.0.6", "fd01::6/64", groups=(group,), gateways=gateways)
    return Cloud(lab, outside, inside, group, router, one, two)


def fabric(cloud: Cloud, *command: str) -> None:
    done = cloud.lab.fabric.run(*command)
    assert done.returncode == 0, done.stderr


def router_place(cloud: Cloud) -> str:
    return names.router_namespace(cloud.lab.cloud, cloud.router.id)


def kill_recorded(cloud: Cloud, directory: str, identifier: str) -> None:
    pid = int((cloud.lab.directory / directory / names.short(identifier) / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    """Whether it runs; a process that has ended and that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


DAMAGES: dict[str, tuple[Callable[[Cloud], object], Callable[[Cloud], str]]] = {
    "a port's device deleted": (
        lambda c: fabric(c, "ip", "link", "del", names.port(c.one.port.id)), lambda c: c.one.port.id),
    "a port's device taken off its bridge": (
        lambda c: fabric(c, "ip", "link", "set", names.port(c.one.port.id), "nomaster"), lambda c: c.one.port.id),
    "a port's device set down": (
        lambda c: fabric(c, "ip", "link", "set", names.port(c.one.port.id), "down"), lambda c: c.one.port.id),
    "a port's chain flushed": (
        lambda c: fabric(c, "nft", "flush", "chain", "bridge", "stackyard", f"s_{names.short(c.one.port.id)}"),
        lambda c: c.one.port.id),
    "a group's chain flushed": (
        lambda c: fabric(c, "nft", "flush", "chain", "bridge", "stackyard", f"g_{names.short(c.group.id)}_e"),
        lambda c: c.group.id),
    "a bridge deleted": (
        lambda c: fabric(c, "ip", "link", "del", names.bridge(c.inside.id)), lambda c: c.inside.id),
    "a bridge set down": (
        lambda c: fabric(c, "ip", "link", "set", names.bridge(c.inside.id), "down"), lambda c: c.inside.id),
    "the filter's tables deleted": (
        lambda c: fabric(c, "nft", "flush", "ruleset"), lambda c: c.group.id),
    "the name server killed": (
        lambda c: kill_recorded(c, "dns", c.inside.id), lambda c: c.inside.id),
    "the name server's namespace removed": (
        lambda c: run("ip", "netns", "del", names.server_namespace(c.lab.cloud, c.inside.id)), lambda c: c.inside.id),
    "the advertiser killed": (
        lambda c: kill_recorded(c, "routers", c.router.id), lambda c: c.router.id),
    "the router's namespace removed": (
        lambda c: run("ip", "netns", "del", router_place(c)), lambda c: c.router.id),
    "the router's rules deleted": (
        lambda c: run("nft", "flush", "ruleset", netns_path=f"/run/netns/{router_place(c)}"), lambda c: c.router.id),
    "the router's leg deleted": (
        lambda c: fabric(c, "ip", "link", "del", names.router_leg(c.router.interfaces[0].port_id)),
        lambda c: c.router.id),
    "the host's end set down": (
        lambda c: run("ip", "link", "set", names.host_leg(c.lab.cloud, c.outside.id), "down"), lambda c: c.outside.id),
    "the host's end deleted": (
        lambda c: run("ip", "link", "del", names.host_leg(c.lab.cloud, c.outside.id)), lambda c: c.outside.id),
    "the host's address removed": (
        lambda c: run("ip", "addr", "flush", "dev", names.host_leg(c.lab.cloud, c.outside.id)),
        lambda c: c.outside.id),
    "the host's table deleted": (
        lambda c: run("nft", "delete", "table", "inet", f"stackyard_{c.lab.cloud}"), lambda c: c.outside.id),
    "the whole fabric removed": (
        lambda c: run("ip", "netns", "del", names.fabric_namespace(c.lab.cloud)), lambda c: ""),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_and_repaired(cloud: Cloud, damage: str) -> None:
    assert until(cloud.works)
    assert cloud.lab.driver.observe().problems == {}
    harm, who = DAMAGES[damage]
    harm(cloud)
    seen = cloud.lab.driver.observe()
    victim = who(cloud)
    assert not victim or victim in seen.problems
    assert victim not in seen.networks | seen.ports | seen.routers | seen.security_groups
    cloud.apply_all()
    assert until(cloud.works)
    after = cloud.lab.driver.observe()
    assert after.problems == {}
    assert after.ports == {cloud.one.port.id, cloud.two.port.id}
    assert after.networks == {cloud.inside.id, cloud.outside.id}
    assert after.routers == {cloud.router.id}
    assert after.security_groups == {cloud.group.id}


def test_a_new_run_adopts_everything_without_touching_a_connection(cloud: Cloud) -> None:
    with cloud.two.serves(80) as listener:
        client = HOST.connect(f"{OUTSIDE}.50", 80)
        assert client is not None
        server, _ = listener.accept()
        before = processes(cloud)
        cloud.lab.restart_driver()
        seen = cloud.lab.driver.observe()
        assert seen.ports == {cloud.one.port.id, cloud.two.port.id}
        assert seen.networks == {cloud.inside.id, cloud.outside.id}
        assert seen.routers == {cloud.router.id}
        cloud.apply_all()
        with client, server:
            client.sendall(b"still here")
            assert server.recv(100) == b"still here"
        assert processes(cloud) == before
        assert cloud.works()


def processes(cloud: Cloud) -> set[str]:
    return {path.read_text() for path in cloud.lab.directory.glob("*/*/pid")}


def test_a_new_run_removes_what_it_did_not_make(cloud: Cloud) -> None:
    cloud.lab.restart_driver()
    driver = cloud.lab.driver
    driver.remove_port(cloud.one.port.id)
    driver.remove_router(cloud.router.id)
    driver.remove_security_group(cloud.group.id)
    driver.remove_network(cloud.inside.id)
    seen = driver.observe()
    assert seen.ports == frozenset()
    assert seen.routers == frozenset()
    assert seen.security_groups == frozenset()
    assert seen.networks == {cloud.outside.id}
    assert not cloud.two.pings("10.1.0.1", wait=0.3)


def test_a_repeated_removal_is_fine(cloud: Cloud) -> None:
    driver = cloud.lab.driver
    for _ in range(2):
        driver.remove_port(cloud.one.port.id)
        driver.remove_port(cloud.two.port.id)
        driver.remove_security_group(cloud.group.id)
        driver.remove_router(cloud.router.id)
        driver.remove_network(cloud.inside.id)
        driver.remove_network(cloud.outside.id)
    seen = driver.observe()
    assert seen.networks | seen.ports | seen.routers | seen.security_groups == frozenset()
    left = cloud.lab.fabric.run("nft", "list", "table", "bridge", "stackyard").stdout
    assert "chain s_" not in left
    assert "chain g_" not in left
    assert "set m4_" not in left


def test_a_port_whose_namespace_is_missing_leaves_nothing(lab: Lab) -> None:
    network = lab.network(subnet("10.1.0.0/24"))
    end = lab.attach(network, "10.1.0.5")
    gone = msgspec.structs.replace(end.port, id=new_id(), netns="/run/netns/syt-nowhere")
    with pytest.raises(HostError, match="syt-nowhere"):
        lab.driver.apply_port(gone)
    clash = msgspec.structs.replace(end.port, id=new_id(), mac=new_mac())
    with pytest.raises(HostError, match="eth0"):
        lab.driver.apply_port(clash)
    assert lab.driver.observe().ports == {end.port.id}
    for refused in (gone, clash):
        assert names.port(refused.id) not in lab.fabric.run("ip", "link").stdout
        assert names.short(refused.id) not in lab.fabric.run("nft", "list", "ruleset").stdout


def test_a_network_whose_server_cannot_start_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = lab.directory / "empty"
    empty.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(empty))
        with pytest.raises(HostError, match="dnsmasq cannot be started"):
            lab.served_network(subnet("10.1.0.0/24"))
        with pytest.raises(HostError, match="radvd cannot be started"):
            lab.router(lab.network(subnet("fd01::/64", ipv6_mode="slaac")))
    assert [item for item in run("ip", "netns").stdout.split() if item.startswith(f"sy-{lab.cloud}-")] == []
    seen = lab.driver.observe()
    assert len(seen.networks) == 1
    assert seen.routers == frozenset()
    assert len(lab.fabric.run("ip", "-o", "link").stdout.splitlines()) == 2
    lab.served_network(subnet("10.1.0.0/24"))


def inventory(cloud: str) -> tuple[set[str], set[str], set[str]]:
    namespaces = {line.split()[0] for line in run("ip", "netns").stdout.splitlines() if f"sy-{cloud}" in line}
    links = {line for line in run("ip", "-o", "link").stdout.splitlines() if f"sy{cloud[:6]}" in line}
    tables = {line for line in run("nft", "list", "tables").stdout.splitlines() if cloud in line}
    return namespaces, links, tables


def test_purge_leaves_nothing(cloud: Cloud) -> None:
    processes = [int(text) for text in (path.read_text() for path in cloud.lab.directory.glob("*/*/pid"))]
    assert processes
    assert all(inventory(cloud.lab.cloud))
    cloud.lab.restart_driver()
    cloud.lab.driver.purge()
    assert inventory(cloud.lab.cloud) == (set(), set(), set())
    assert not [pid for pid in processes if alive(pid)]
    assert list(cloud.lab.directory.iterdir()) == []
    assert "eth0" not in cloud.one.run("ip", "link").stdout
    cloud.lab.driver.start()
    cloud.apply_all()
    assert until(cloud.works)


def test_the_machines_features_are_found_without_a_trace() -> None:
    found = {feature.name: feature for feature in network_features()}
    assert found["bridge"].ok
    assert found["connection tracking zones"].ok
    assert all(feature.remedy for feature in found.values() if not feature.ok)
    assert not {"sybr", "syv0", "syvx"} & {
        line.split()[1].strip(":@") for line in run("ip", "-o", "link").stdout.splitlines()
    }
