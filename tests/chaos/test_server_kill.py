"""`kill -9` of the cloud among 20 boots, and among resizes and snapshots: all converges, and nothing is left over.

The moments are random, as in test_kill.py. The machines are real ones under QEMU, of a guest that is up at once; they
run on while the cloud is down, and are adopted.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests import machine_guest
from tests.chaos.interruption import difference, interrupted
from tests.chaos.test_kill import SEED
from tests.chaos.world import Client, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(400)]

ROUNDS, COUNT = 3, 20
BOOTING_SECONDS, CHANGING_SECONDS, DELETING_SECONDS = 5.0, 6.0, 4.0
SERVERS = "/compute/v2.1/servers"


class Site:
    """What servers are made of."""

    def __init__(self, client: Client) -> None:
        body = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "os_shutdown_timeout": "5"}
        self.image = str(client.request("POST", "/image/v2/images", body)["id"])
        client.upload(f"/image/v2/images/{self.image}/file", machine_guest.boot_disk())
        network = client.request("POST", "/network/v2.0/networks", {"network": {"name": "chaos"}})["network"]["id"]
        subnet = {"network_id": network, "ip_version": 4, "cidr": "10.97.0.0/24"}
        client.request("POST", "/network/v2.0/subnets", {"subnet": subnet})
        self.network = str(network)
        limits = {"instances": -1, "cores": -1, "ram": -1}
        client.request("PUT", f"/compute/v2.1/os-quota-sets/{client.project}", {"quota_set": limits})
        flavors = [("chaos.1", 64), ("chaos.2", 80)]
        self.flavors = [
            str(client.request("POST", "/compute/v2.1/flavors", {"flavor": flavor(*each)})["flavor"]["id"])
            for each in flavors
        ]

    def boot(self, client: Client, number: int) -> str:
        server = {"name": f"chaos-{number}", "imageRef": self.image, "flavorRef": self.flavors[0]}
        body = {"server": {**server, "networks": [{"uuid": self.network}]}}
        return str(client.request("POST", SERVERS, body)["server"]["id"])

    def change(self, client: Client, targets: list[str], number: int) -> str:
        """A resize of every other server, an image of the rest."""
        target = targets[number % len(targets)]
        if number % 2:
            body: dict[str, Any] = {"resize": {"flavorRef": self.flavors[1]}}
        else:
            body = {"createImage": {"name": f"chaos-{number}"}}
        client.request("POST", f"{SERVERS}/{target}/action", body, accept=(409,))
        return target


def flavor(name: str, memory: int) -> dict[str, Any]:
    return {"name": name, "ram": memory, "vcpus": 1, "disk": 1}


@pytest.fixture(scope="module")
def site(world: World) -> Site:
    """With a server booted once: all that stays with a network and an image is there before the first round."""
    client = world.client()
    made = Site(client)
    first = made.boot(client, 0)
    settled(client, {first}, {"ACTIVE"})
    remove_all(client)
    client.close()
    return made


@pytest.mark.parametrize("number", range(ROUNDS))
def test_servers_converge(world: World, site: Site, number: int) -> None:
    chance = random.Random(f"{SEED}/servers/{number}")
    moments = [chance.uniform(0, limit) for limit in (BOOTING_SECONDS, CHANGING_SECONDS, DELETING_SECONDS)]
    print(f"seed {SEED}, round {number}: killed {', '.join(f'{each:.3f}' for each in moments)} s into each part")
    before = traces(world)

    accepted = interrupted(world, moments[0], site.boot, COUNT)
    client = world.client()
    existing = set(listed(client))
    assert accepted <= existing, f"accepted and lost: {sorted(accepted - existing)}"
    settled(client, existing, {"ACTIVE"})
    consistent(world, client, existing)
    running = world.machines()
    client.close()

    targets = sorted(existing)
    interrupted(world, moments[1], lambda client, turn: site.change(client, targets, turn), min(COUNT, len(targets)))
    client = world.client()
    settled(client, existing, {"ACTIVE", "VERIFY_RESIZE"})
    consistent(world, client, existing)
    resized = {name for name, server in listed(client).items() if server["status"] == "VERIFY_RESIZE"}
    now = world.machines()
    assert {name: running[name] for name in existing - resized} == {name: now[name] for name in existing - resized}
    eventually(lambda: unfinished_images(client), seconds=60, what="every image to be active or gone")
    client.close()

    interrupted(world, moments[2], lambda client, turn: delete_nth(client, targets, turn), COUNT)
    client = world.client()
    remove_all(client)
    for image in client.request("GET", "/image/v2/images?limit=1000")["images"]:
        if image["name"].startswith("chaos-"):
            client.request("DELETE", f"/image/v2/images/{image['id']}")
    client.close()
    eventually(lambda: difference(before, traces(world)), seconds=30, what="no trace to be left")


def listed(client: Client) -> dict[str, dict[str, Any]]:
    servers = client.request("GET", f"{SERVERS}/detail")["servers"]
    return {server["id"]: server for server in servers}


def settled(client: Client, expected: set[str], statuses: set[str]) -> None:
    """Every server has one of the statuses, and nothing is under way."""

    def unsettled() -> str:
        return ", ".join(
            f"{name} {server['status']} {server['OS-EXT-STS:task_state']} {server.get('fault', {}).get('message', '')}"
            for name, server in listed(client).items()
            if name in expected and (server["status"] not in statuses or server["OS-EXT-STS:task_state"])
        )

    eventually(unsettled, seconds=120, what="every server to come to rest")


def consistent(world: World, client: Client, existing: set[str]) -> None:
    """Each server is there once: one process, one port with an address of its own, one allocation."""
    assert set(world.machines()) == existing
    ports = client.request("GET", "/network/v2.0/ports")["ports"]
    owned = [port for port in ports if port["device_owner"].startswith("compute:")]
    assert sorted(port["device_id"] for port in owned) == sorted(existing)
    addresses = [entry["ip_address"] for port in owned for entry in port["fixed_ips"]]
    assert len(addresses) == len(set(addresses)) == len(existing)
    for server in existing:
        assert client.request("GET", f"/placement/allocations/{server}")["allocations"], f"{server} has no allocation"


def unfinished_images(client: Client) -> str:
    images = client.request("GET", "/image/v2/images?limit=1000")["images"]
    return ", ".join(f"{image['name']} {image['status']}" for image in images if image["status"] != "active")


def delete_nth(client: Client, targets: list[str], number: int) -> str | None:
    if number >= len(targets):
        return None
    client.request("DELETE", f"{SERVERS}/{targets[number]}", accept=(404,))
    return targets[number]


def remove_all(client: Client) -> None:
    for server in listed(client):
        client.request("DELETE", f"{SERVERS}/{server}", accept=(404,))
    eventually(lambda: ", ".join(listed(client)), seconds=90, what="all servers to be gone")


def traces(world: World) -> dict[str, list[str]]:
    """All that servers leave when they are not removed wholly: in the kernel, on disk, in the database."""
    machines = world.state_dir / "machines"
    return {
        **world.kernel(),
        "machines": sorted(world.machines()),
        "files": sorted(entry.name for entry in machines.glob("????????-????-????-????-????????????")),
        "quota": world.rows("SELECT project_id, resource, in_use FROM quota_usages WHERE in_use != 0"),
        "addresses": world.rows("SELECT subnet_id, ip_address FROM ip_allocations"),
        "ports": world.rows("SELECT id FROM ports WHERE device_owner LIKE 'compute:%'"),
        "images": world.rows("SELECT name FROM images WHERE name LIKE 'chaos-%'"),
        "work tried in vain": world.rows("SELECT kind, resource_id FROM work WHERE attempts > 1"),
        "allocations": world.rows("SELECT * FROM placement_allocations"),
    }
