"""`kill -9` of the cloud while it creates or deletes twenty containers: nothing is lost, doubled or left over.

The moments are random. The seed is printed with a failure; STACKYARD_CHAOS_SEED=N repeats the same moments, and
STACKYARD_CHAOS_ROUNDS=N makes more or fewer rounds (each kills once while creating and once while deleting).
"""

from __future__ import annotations

import io
import os
import random
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.interruption import difference, interrupted
from tests.chaos.world import Client, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]

SEED = int(os.environ.get("STACKYARD_CHAOS_SEED") or secrets.randbelow(2**32))
ROUNDS = int(os.environ.get("STACKYARD_CHAOS_ROUNDS", "6"))
COUNT = 20
CREATING_SECONDS = 4.0  # about what twenty containers take, so that kills fall before, within and after the work
DELETING_SECONDS = 4.0
CONTAINERS = "/container/v1/containers"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    try:
        world.up()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            link = tarfile.TarInfo("bin/sleep")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        world.docker("import", "-", "busybox:latest", data=archive.getvalue())
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def network(world: World) -> str:
    """A network on which a container was once: all that stays with a network is there before the first round."""
    client = world.client()
    made = client.request("POST", "/network/v2.0/networks", {"network": {"name": "chaos"}})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": "10.99.0.0/24"}
    client.request("POST", "/network/v2.0/subnets", {"subnet": subnet})
    first = client.request("POST", f"{CONTAINERS}?run=true", body(made, "first"))["uuid"]
    settle(world, client, {first})
    delete(client, first)
    eventually(lambda: ", ".join(listed(client)), seconds=60, what="the first container to be gone")
    client.close()
    return str(made)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_nothing_is_lost_or_left_over(world: World, network: str, number: int) -> None:
    chance = random.Random(f"{SEED}/{number}")
    moments = chance.uniform(0, CREATING_SECONDS), chance.uniform(0, DELETING_SECONDS)
    print(f"seed {SEED}, round {number}: killed {moments[0]:.3f} s into creating, {moments[1]:.3f} s into deleting")
    before = traces(world)

    accepted = interrupted(world, moments[0], lambda client, name: create(client, network, name), COUNT)
    client = world.client()
    existing = set(listed(client))
    assert accepted <= existing, f"accepted and lost: {sorted(accepted - existing)}"
    settle(world, client, existing)
    consistent(world, client, existing)

    targets = sorted(existing)
    client.close()
    deleted = interrupted(world, moments[1], lambda client, name: delete_nth(client, targets, name), COUNT)
    client = world.client()
    eventually(lambda: ", ".join(deleted & set(listed(client))), seconds=90, what="accepted deletes to be done")
    for container in listed(client):
        delete(client, container)
    eventually(lambda: ", ".join(listed(client)), seconds=90, what="all containers to be gone")
    client.close()
    eventually(lambda: difference(before, traces(world)), seconds=30, what="no trace to be left")


def body(network: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "busybox",
        "image_driver": "docker",
        "image_pull_policy": "ifnotpresent",
        "command": ["sleep", "3600"],
        "nets": [{"network": network}],
    }


def create(client: Client, network: str, number: int) -> str:
    return str(client.request("POST", f"{CONTAINERS}?run=true", body(network, f"chaos-{number}"))["uuid"])


def delete(client: Client, container: str) -> None:
    # 404: gone already; 409: its delete was accepted before the kill and goes on.
    client.request("DELETE", f"{CONTAINERS}/{container}?force=true", accept=(404, 409))


def delete_nth(client: Client, targets: list[str], number: int) -> str | None:
    if number >= len(targets):
        return None
    delete(client, targets[number])
    return targets[number]


def listed(client: Client) -> dict[str, dict[str, Any]]:
    return {entry["uuid"]: entry for entry in client.request("GET", CONTAINERS)["containers"]}


def settle(world: World, client: Client, expected: set[str]) -> None:
    """Every container is Running; one that is in Error, or for ever on its way, fails."""

    def unsettled() -> str:
        return ", ".join(
            f"{uuid} {entry['status']} {entry.get('status_reason') or ''}"
            for uuid, entry in listed(client).items()
            if uuid in expected and entry["status"] != "Running"
        )

    eventually(unsettled, seconds=90, what="every container to run")


def consistent(world: World, client: Client, existing: set[str]) -> None:
    """Each container is there once: in the engine, with one sandbox, one port and an address of its own."""
    assert {name for name in world.containers() if name.startswith("zun-")} == {f"zun-{uuid}" for uuid in existing}
    assert world.sandboxes() == existing
    ports = client.request("GET", "/network/v2.0/ports")["ports"]
    owned = [port for port in ports if port["device_owner"].startswith("compute:")]
    assert sorted(port["device_id"] for port in owned) == sorted(existing)
    addresses = [entry["ip_address"] for port in owned for entry in port["fixed_ips"]]
    assert len(addresses) == len(set(addresses)) == len(existing)


def traces(world: World) -> dict[str, list[str]]:
    """All that containers leave when they are not removed wholly: in the kernel, the engine, the database's view."""
    client = world.client()
    try:
        ports = client.request("GET", "/network/v2.0/ports")["ports"]
    finally:
        client.close()
    return {
        **world.kernel(),
        # A counter of zero is as good as none.
        "quota": world.rows("SELECT project_id, resource, in_use FROM quota_usages WHERE in_use != 0"),
        "addresses": world.rows("SELECT subnet_id, ip_address FROM ip_allocations"),
        "work tried in vain": world.rows("SELECT kind, resource_id FROM work WHERE attempts > 1"),
        "engine": sorted(world.containers()),
        "sandboxes": sorted(world.sandboxes()),
        "files": sorted(entry.name for entry in files_of_containers(world)),
        "ports": sorted(port["id"] for port in ports),
    }


def files_of_containers(world: World) -> list[Path]:
    directory = world.state_dir / "containers"
    return list(directory.iterdir()) if directory.is_dir() else []
