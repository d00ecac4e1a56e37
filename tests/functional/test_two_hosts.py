"""Two processes on one PostgreSQL, each on a host of its own: tenants' networks span them, and outlive either."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.dataplane.lab import Endpoint, Place, until
from tests.dataplane.two_hosts import Underlay
from tests.functional.network_host import PASSWORDS
from tests.functional.users import Session
from tests.postgres import PostgresServer

from stackyard.host.network import names, netns

pytestmark = pytest.mark.root

V2 = "/network/v2.0"
SCRIPT = Path(__file__).with_name("network_host.py")
ROOT = SCRIPT.parents[2]
CATCH_UP = 60.0
"""Seconds in which a host that comes back has looked at all that is on it."""

CONFIG = """
[server]
host_name = "{name}"
[database]
url = "{url}"
[network]
tunnel_address = "{address}"
public_cidr = "198.51.100.0/24"
"""


@dataclass
class Member:
    """A host of the cloud, and how to talk to it."""

    name: str
    place: Place
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def cloud_id(self) -> str:
        return str(json.loads((self.directory / "state" / "cloud.json").read_text())["id"])

    @property
    def fabric(self) -> Place:
        return Place(netns.path_of(names.fabric_namespace(self.cloud_id)))

    def up(self) -> None:
        argv = [sys.executable, str(SCRIPT), str(self.directory / "state"), str(self.directory / "config.toml"), "5000"]
        log = (self.directory / "log").open("a")
        with log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self.place.path}", "--", *argv],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={
                    "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
                    **self.environment,
                },
            )  # fmt: skip
        assert self._read() == "ready", (self.directory / "log").read_text()[-4000:]

    def _read(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *words: str) -> str:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self._read()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def _ended(self) -> None:
        assert self.process is not None
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process = None

    def purge(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            self._ended()
        if self.process is None:
            self.up()
        self.ask("purge")
        self._ended()

    def call(self, method: str, path: str, body: object = None, user: str = "demo") -> Any:
        """A call of the network API of this host, made on this host."""
        return self.send(method, f"{V2}{path}", body, user)

    def send(self, method: str, path: str, body: object = None, user: str = "demo") -> Any:
        """A call of any API."""

        def send() -> Any:
            if user not in self.sessions:
                self.sessions[user] = Session("http://127.0.0.1:5000", user, PASSWORDS[user], user)
            return self.sessions[user].call(method, path, body)

        return self.place.within(send)

    def make(self, noun: str, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.call("POST", f"/{noun.replace('_', '-')}s", {noun: fields})[noun]
        return made


@dataclass
class Pair:
    """The cloud: hosts, and namespaces that stand for containers on them."""

    one: Member
    two: Member
    sandboxes: list[str] = field(default_factory=list)

    def wired(self, member: Member, port: dict[str, Any]) -> Endpoint:
        name = f"syt-{uuid.uuid4().hex[:10]}"
        self.sandboxes.append(name)
        netns.create(name)
        assert member.ask("bind", port["id"], netns.path_of(name)) == "bound"
        return Endpoint(path=netns.path_of(name), name=port["fixed_ips"][0]["ip_address"])


@pytest.fixture
def pair(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Pair]:
    underlay, url = Underlay(tmp_path), postgres_server.create()
    members: list[Member] = []
    sandboxes: list[str] = []
    try:
        for number, name in enumerate(("host-one", "host-two"), start=1):
            place, address = underlay.machine(number)
            directory = tmp_path / name
            directory.mkdir()
            (directory / "config.toml").write_text(CONFIG.format(name=name, url=url, address=address))
            members.append(Member(name, place, directory))
        made = Pair(*members, sandboxes)
        for member in members:
            member.up()
        yield made
    finally:
        for member in members:
            member.purge()
        for name in sandboxes:
            netns.delete(name)
        underlay.close()
        postgres_server.drop(url)


@dataclass
class Tenant:
    """A network with its subnet, a group whose members reach each other, and one whose members nobody reaches."""

    pair: Pair
    network: str
    subnet: str
    mutual: str
    closed: str

    def port(self, member: Member, name: str, group: str) -> dict[str, Any]:
        return member.make("port", network_id=self.network, name=name, dns_name=name, security_groups=[group])

    def server(self) -> str:
        ports = self.pair.one.call("GET", f"/ports?network_id={self.network}&device_owner=network:dhcp", user="admin")
        return str(ports["ports"][0]["fixed_ips"][0]["ip_address"])


@pytest.fixture
def tenant(pair: Pair) -> Tenant:
    one = pair.one
    network = one.make("network", name="spanning")
    assert network["mtu"] == 1450, "a network's MTU is what it carries: the tunnel's part is off"
    subnet = one.make("subnet", network_id=network["id"], ip_version=4, cidr="10.77.0.0/24")
    mutual, closed = (one.make("security_group", name=name)["id"] for name in ("mutual", "closed"))
    rule = {"security_group_id": mutual, "direction": "ingress", "ethertype": "IPv4", "remote_group_id": mutual}
    one.make("security_group_rule", **rule)
    return Tenant(pair, network["id"], subnet["id"], mutual, closed)


def forwarding(member: Member, network: str) -> list[str]:
    """What the kernel of a host has written of the other hosts."""
    tunnel, bridge = names.tunnel(network), names.bridge(network)
    found = member.fabric.run("bridge", "fdb", "show", "dev", tunnel).stdout.splitlines()
    known = [line for line in found if " dst " in line]
    return sorted(known + member.fabric.run("ip", "neigh", "show", "dev", bridge).stdout.splitlines())


def resolves(end: Endpoint, name: str, server: str, address: str) -> bool:
    return address in end.run("busybox", "nslookup", f"{name}.openstacklocal", server).stdout


def test_a_network_spans_hosts_and_outlives_either(pair: Pair, tenant: Tenant) -> None:
    one, two = pair.one, pair.two
    ports = {name: tenant.port(one, name, tenant.mutual) for name in ("first", "second", "third")}
    first, second = pair.wired(one, ports["first"]), pair.wired(two, ports["second"])
    stranger = pair.wired(one, tenant.port(two, "stranger", tenant.closed))
    assert until(lambda: first.pings(second.name, wait=0.3)), "each host learns at once what is on the other"
    assert second.pings(first.name)

    server = tenant.server()
    for end in (first, second):
        assert until(lambda end=end: resolves(end, "first", server, first.name))
        assert until(lambda end=end: resolves(end, "second", server, second.name))

    assert not stranger.pings(second.name, wait=0.4), "the group's members are known on every host, and only they"
    rule = {"security_group_id": tenant.mutual, "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"}
    added = one.make("security_group_rule", **rule, remote_ip_prefix=f"{stranger.name}/32")
    assert until(lambda: stranger.pings(second.name, wait=0.3), 3), "a rule made on one host holds on the other"
    one.call("DELETE", f"/security-group-rules/{added['id']}")
    assert until(lambda: not stranger.pings(second.name, wait=0.3), 3)

    router = two.make("router", name="between")
    two.call("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": tenant.subnet})
    assert until(lambda: first.pings("10.77.0.1", wait=0.3)), "the gateway is on the other host"

    before = forwarding(one, tenant.network)
    one.kill()
    assert first.pings(second.name), "the kernel goes on without the process"
    third = pair.wired(two, ports["third"])
    one.up()
    assert until(lambda: third.name in "".join(forwarding(one, tenant.network)), CATCH_UP), (
        "what it missed it catches up with"
    )
    assert first.pings(third.name)
    assert until(lambda: resolves(first, "third", server, third.name))
    assert two.ask("unbind", ports["third"]["id"]) == "unbound"
    until(lambda: forwarding(one, tenant.network) == before, CATCH_UP)
    assert forwarding(one, tenant.network) == before, "after the restart all is as before"
    assert first.pings(second.name)
    assert one.ask("problems") == two.ask("problems") == "{}"


def test_a_host_has_what_is_on_it_and_no_more(pair: Pair, tenant: Tenant) -> None:
    one, two = pair.one, pair.two
    bridge, tunnel = names.bridge(tenant.network), names.tunnel(tenant.network)

    def has(member: Member, device: str) -> bool:
        return member.fabric.run("ip", "link", "show", device).returncode == 0

    assert until(lambda: has(one, bridge)), "what is nowhere yet is on the host that has been there longest"
    assert not has(two, bridge)
    port = tenant.port(one, "only", tenant.mutual)
    pair.wired(two, port)
    assert has(two, bridge)
    assert until(lambda: not has(one, bridge)), "and goes to the host where it is used"
    assert not has(two, tunnel), "a network on one host alone needs no tunnel"
    here = tenant.port(one, "here", tenant.mutual)
    pair.wired(one, here)
    assert until(lambda: has(one, tunnel) and has(two, tunnel))
    one.call("DELETE", f"/ports/{here['id']}")
    assert until(lambda: not has(two, tunnel))
    assert until(lambda: not has(one, bridge))
    two.call("DELETE", f"/ports/{port['id']}")
    two.call("DELETE", f"/networks/{tenant.network}")
    assert until(lambda: not has(two, bridge))
