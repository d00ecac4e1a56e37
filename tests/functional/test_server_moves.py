"""Two processes on one PostgreSQL, each on a host of its own with real machines: servers move between them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dataplane.lab import until
from tests.dataplane.two_hosts import Underlay
from tests.functional.test_two_hosts import CONFIG, Member, Pair, Tenant, forwarding
from tests.machine_guest import GREETING, boot_disk
from tests.postgres import PostgresServer

from stackyard.host.network import names

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

COMPUTE = "/compute/v2.1"
SECONDS = 90.0


@pytest.fixture
def pair(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Pair]:
    underlay, url = Underlay(tmp_path), postgres_server.create()
    members = []
    try:
        for number, name in enumerate(("host-one", "host-two"), start=1):
            place, address = underlay.machine(number)
            directory = tmp_path / name
            directory.mkdir()
            config = CONFIG.format(name=name, url=url, address=address)
            (directory / "config.toml").write_text(f"{config}[compute]\nreserved_host_memory = 0\n")
            members.append(Member(name, place, directory, {"MACHINES": "qemu"}))
        made = Pair(*members)
        for member in members:
            member.up()
        yield made
    finally:
        for member in members:
            member.purge()
        underlay.close()
        postgres_server.drop(url)


class World:
    """A tenant's network, an image of a machine that is up at once, and servers of it."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.one, self.two = pair, pair.one, pair.two
        network = self.one.make("network", name="spanning")["id"]
        subnet = self.one.make("subnet", network_id=network, ip_version=4, cidr="10.77.0.0/24")["id"]
        group = self.one.make("security_group", name="mutual")["id"]
        self.tenant = Tenant(pair, network, subnet, group, group)
        body = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        self.image = self.one.send("POST", "/image/v2/images", body)["id"]
        self.one.place.within(self._upload)
        flavor = {"name": "tiny", "ram": 32, "vcpus": 1, "disk": 1}
        made = self.one.send("POST", f"{COMPUTE}/flavors", {"flavor": flavor}, user="admin")["flavor"]
        self.flavor = made["id"]

    def _upload(self) -> None:
        http = self.one.sessions["demo"]._http
        headers = {"Content-Type": "application/octet-stream"}
        answer = http.put(f"/image/v2/images/{self.image}/file", content=boot_disk(), headers=headers)
        assert answer.is_success, answer.text

    def server(self) -> str:
        """One that runs on the first host."""
        networks = [{"uuid": self.tenant.network}]
        body = {"name": "mover", "imageRef": self.image, "flavorRef": self.flavor, "networks": networks}
        self.enable(self.two, "disable")
        made = self.one.send("POST", f"{COMPUTE}/servers", {"server": body})["server"]["id"]
        self.becomes(made, "ACTIVE", self.one)
        self.enable(self.two, "enable")
        until(lambda: GREETING in self.printed(self.one, made), SECONDS)
        assert self.printed(self.one, made).count(GREETING) == 1
        return str(made)

    def enable(self, member: Member, how: str) -> None:
        body = {"host": member.name, "binary": "nova-compute"}
        self.one.send("PUT", f"{COMPUTE}/os-services/{how}", body, user="admin")

    def show(self, server: str) -> dict[str, Any]:
        found: dict[str, Any] = self.one.send("GET", f"{COMPUTE}/servers/{server}", user="admin")["server"]
        return found

    def becomes(self, server: str, status: str, member: Member) -> None:
        shown: dict[str, Any] = {}

        def there() -> bool:
            shown.update(self.show(server))
            assert shown["status"] == status or shown["status"] != "ERROR", shown.get("fault")
            done = shown["OS-EXT-STS:task_state"] is None
            return bool(shown["status"] == status and done and shown["OS-EXT-SRV-ATTR:host"] == member.name)

        assert until(there, SECONDS), shown

    def act(self, server: str, action: str, body: Any = None, user: str = "admin") -> None:
        self.one.send("POST", f"{COMPUTE}/servers/{server}/action", {action: body}, user=user)

    def live(self, server: str) -> None:
        self.act(server, "os-migrateLive", {"host": None, "block_migration": True, "disk_over_commit": False})

    @staticmethod
    def printed(member: Member, server: str) -> str:
        return str(json.loads(member.ask("printed", server)))

    def port(self, server: str) -> dict[str, Any]:
        found: dict[str, Any] = self.one.call("GET", f"/ports?device_id={server}")["ports"][0]
        return found

    def settled(self) -> None:
        """Nothing of servers is other than it is written, on either host."""
        for member in (self.one, self.two):
            told: list[str] = []

            def fine(member: Member = member, told: list[str] = told) -> bool:
                told[:] = json.loads(member.ask("differences"))
                return not told

            assert until(fine, SECONDS), told


@pytest.fixture
def world(pair: Pair) -> World:
    return World(pair)


def tap_is_on(member: Member, port: str) -> bool:
    return member.fabric.run("ip", "link", "show", names.port(port)).returncode == 0


def eventually(condition: Callable[[], bool]) -> None:
    assert until(condition, SECONDS)


def test_a_machine_moves_while_it_runs(world: World) -> None:
    one, two, server = world.one, world.two, world.server()
    assert one.ask("say", server, "a") == "a"
    assert one.ask("say", server, "w") == "!", "it has written to its disk"
    port = world.port(server)
    assert tap_is_on(one, port["id"])
    world.live(server)
    world.becomes(server, "ACTIVE", two)
    assert two.ask("machine", server) == "running"
    assert two.ask("say", server, "b") == "b", "the same system goes on"
    assert GREETING not in world.printed(two, server), "it did not start anew"
    eventually(lambda: one.ask("machine", server) == "gone")
    eventually(lambda: tap_is_on(two, port["id"]) and not tap_is_on(one, port["id"]))
    assert world.port(server)["status"] == "ACTIVE"
    here = world.tenant.port(one, "here", world.tenant.mutual)
    world.pair.wired(one, here)
    address = port["fixed_ips"][0]["ip_address"]
    eventually(lambda: address in "".join(forwarding(one, world.tenant.network)))
    world.live(server)
    world.becomes(server, "ACTIVE", one)
    assert one.ask("say", server, "c") == "c", "and back again"
    world.act(server, "reboot", {"type": "HARD"})
    world.becomes(server, "ACTIVE", one)
    eventually(lambda: GREETING in world.printed(one, server))
    world.settled()
    one.send("DELETE", f"{COMPUTE}/servers/{server}")
    eventually(lambda: one.ask("machine", server) == "gone")
    assert one.ask("problems") == two.ask("problems") == "{}"


def test_a_machine_moves_cold_and_comes_back(world: World) -> None:
    one, two, server = world.one, world.two, world.server()
    assert one.ask("say", server, "w") == "!"
    world.act(server, "migrate")
    world.becomes(server, "VERIFY_RESIZE", two)
    assert (one.ask("machine", server), two.ask("machine", server)) == ("stopped", "running")
    eventually(lambda: GREETING in world.printed(two, server))
    world.settled()
    world.act(server, "revertResize", user="demo")
    world.becomes(server, "ACTIVE", one)
    eventually(lambda: two.ask("machine", server) == "gone")
    world.act(server, "migrate")
    world.becomes(server, "VERIFY_RESIZE", two)
    world.act(server, "confirmResize", user="demo")
    world.becomes(server, "ACTIVE", two)
    eventually(lambda: one.ask("machine", server) == "gone")
    eventually(lambda: GREETING in world.printed(two, server))
    assert two.ask("say", server, "a") == "a"
    eventually(lambda: tap_is_on(two, world.port(server)["id"]))
    world.settled()


@pytest.mark.parametrize("victim", ["source", "destination"])
def test_a_process_that_is_killed_on_the_way(world: World, victim: str) -> None:
    """The machine is whole on one host in the end, was never started anew, and nothing is left on the other."""
    one, two, server = world.one, world.two, world.server()
    killed = one if victim == "source" else two
    world.live(server)
    killed.kill()
    killed.up()
    shown: dict[str, Any] = {}

    def ended() -> bool:
        shown.update(world.show(server))
        return bool(shown["status"] == "ACTIVE" and shown["OS-EXT-STS:task_state"] is None)

    assert until(ended, SECONDS), shown
    at, other = (one, two) if shown["OS-EXT-SRV-ATTR:host"] == one.name else (two, one)
    eventually(lambda: other.ask("machine", server) == "gone")
    assert at.ask("say", server, "a") == "a"
    assert world.printed(at, server).count(GREETING) == (1 if at is one else 0)
    world.act(server, "migrate")
    at.kill()
    at.up()
    world.becomes(server, "VERIFY_RESIZE", other)
    world.act(server, "confirmResize", user="demo")
    eventually(lambda: at.ask("machine", server) == "gone")
    eventually(lambda: GREETING in world.printed(other, server))
    world.settled()
