"""`kill -9` of the cloud among 20 creates, among snapshots, clones and backups, and among deletes of volumes.

The moments are random, as in test_kill.py. Each volume that was accepted is there with its content, and after the
deletes there is neither file nor row, nor anything counted.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from tests.chaos.interruption import difference, interrupted
from tests.chaos.test_kill import SEED
from tests.chaos.world import Client, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(400)]

ROUNDS, COUNT = 3, 20
MAKING_SECONDS, COPYING_SECONDS, DELETING_SECONDS = 2.0, 3.0, 2.0
VOLUMES, SNAPSHOTS, BACKUPS = "/volume/v3/volumes", "/volume/v3/snapshots", "/volume/v3/backups"
CONTENT = os.urandom(6 << 20)


@pytest.fixture(scope="module")
def image(world: World) -> str:
    """An image of which volumes are made; a volume was made and deleted once."""
    client = world.client()
    body = {"name": "disk", "disk_format": "raw", "container_format": "bare"}
    made = str(client.request("POST", "/image/v2/images", body)["id"])
    client.upload(f"/image/v2/images/{made}/file", CONTENT)
    names = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes")
    limits = {"quota_set": dict.fromkeys(names, -1)}
    client.request("PUT", f"/volume/v3/os-quota-sets/{client.project}", limits)
    make(client, made, 0)
    remove_all(client)
    client.close()
    return made


@pytest.mark.parametrize("number", range(ROUNDS))
def test_volumes_converge(world: World, image: str, number: int) -> None:
    chance = random.Random(f"{SEED}/volumes/{number}")
    moments = [chance.uniform(0, limit) for limit in (MAKING_SECONDS, COPYING_SECONDS, DELETING_SECONDS)]
    print(f"seed {SEED}, round {number}: killed {', '.join(f'{each:.3f}' for each in moments)} s into each part")
    before = traces(world)

    accepted = interrupted(world, moments[0], lambda client, turn: make(client, image, turn), COUNT)
    client = world.client()
    existing = set(listed(client, VOLUMES))
    assert accepted <= existing, f"accepted and lost: {sorted(accepted - existing)}"
    settled(client)
    whole(world, client)
    client.close()

    targets = sorted(existing)
    accepted = interrupted(world, moments[1], lambda client, turn: copy(client, targets, turn), COUNT)
    client = world.client()
    settled(client)
    there = {each for path in (VOLUMES, SNAPSHOTS, BACKUPS) for each in listed(client, path)}
    assert accepted <= there, f"accepted and lost: {sorted(accepted - there)}"
    whole(world, client)
    kept = {name: len(listed(client, path)) for name, path in (("snapshots", SNAPSHOTS), ("volumes", VOLUMES))}
    assert {name: len(files(world, name)) for name in kept} == kept
    client.close()

    interrupted(world, moments[2], delete_nth, COUNT)
    client = world.client()
    remove_all(client)
    client.close()
    eventually(lambda: difference(before, traces(world)), seconds=30, what="no trace to be left")
    eventually(world.doctor, seconds=60, what="doctor to find nothing")


def make(client: Client, image: str, number: int) -> str:
    """Every other one has the image's content."""
    source = {"imageRef": image} if number % 2 else {}
    body = {"volume": {"size": 1, "name": "full" if source else "blank", **source}}
    return str(client.request("POST", VOLUMES, body)["volume"]["id"])


def copy(client: Client, targets: list[str], number: int) -> str | None:
    """A snapshot, a clone, a larger size, or a backup of one; a volume that is busy refuses, which is right."""
    if not targets:
        return None
    target = targets[number % len(targets)]
    kind = number % 4
    if kind == 0:
        body: dict[str, Any] = {"snapshot": {"volume_id": target, "name": "kept"}}
        return made_of(client.request("POST", SNAPSHOTS, body, accept=(400,)), "snapshot")
    if kind == 1:
        name = client.request("GET", f"{VOLUMES}/{target}")["volume"]["name"]
        body = {"volume": {"size": 1, "name": name, "source_volid": target}}
        return made_of(client.request("POST", VOLUMES, body, accept=(400,)), "volume")
    if kind == 2:
        client.request("POST", f"{VOLUMES}/{target}/action", {"os-extend": {"new_size": 2}}, accept=(400,))
        return target
    body = {"backup": {"volume_id": target, "name": "kept"}}
    return made_of(client.request("POST", BACKUPS, body, accept=(400,)), "backup")


def made_of(answer: Any, kind: str) -> str | None:
    """The id of what was made, None when it was refused."""
    return str(answer[kind]["id"]) if answer and kind in answer else None


def listed(client: Client, path: str) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in client.request("GET", f"{path}/detail?limit=1000")[path.rpartition("/")[2]]}


def settled(client: Client) -> None:
    """All is available."""

    def unsettled() -> str:
        found = [each for path in (VOLUMES, SNAPSHOTS, BACKUPS) for each in listed(client, path).values()]
        return ", ".join(f"{each['id']} {each['status']}" for each in found if each["status"] != "available")

    eventually(unsettled, seconds=120, what="everything to be available")


def whole(world: World, client: Client) -> None:
    """Each volume has its size, and begins as it should."""
    for key, volume in listed(client, VOLUMES).items():
        path = world.state_dir / "volumes" / "volumes" / key
        assert path.stat().st_size == volume["size"] << 30
        with path.open("rb") as file:
            wanted = CONTENT if volume["name"] == "full" else bytes(len(CONTENT))
            assert file.read(len(CONTENT)) == wanted, f"{key} ({volume['name']}) has another content"


def files(world: World, kind: str) -> list[str]:
    return sorted(entry.name for entry in (world.state_dir / "volumes" / kind).iterdir())


def delete_nth(client: Client, number: int) -> str | None:
    """A snapshot, a backup, or a volume with all its snapshots."""
    for path, options in ((SNAPSHOTS, ""), (BACKUPS, ""), (VOLUMES, "?cascade=true")):
        targets = sorted(listed(client, path))
        if targets:
            target = targets[number % len(targets)]
            client.request("DELETE", f"{path}/{target}{options}", accept=(400, 404))
            return target
    return None


def remove_all(client: Client) -> None:
    def left() -> str:
        found = []
        for path, options in ((SNAPSHOTS, ""), (BACKUPS, ""), (VOLUMES, "?cascade=true")):
            for key, each in listed(client, path).items():
                found.append(f"{key} {each['status']}")
                if each["status"] in ("available", "error"):
                    client.request("DELETE", f"{path}/{key}{options}", accept=(400, 404))
        return ", ".join(found)

    eventually(left, seconds=90, what="everything to be gone")


def traces(world: World) -> dict[str, list[str]]:
    """All that volumes leave when they are not removed wholly."""
    pieces = world.state_dir / "volumes-backups"
    return {
        **{kind: files(world, kind) for kind in ("volumes", "snapshots", "work", "formatting")},
        "backups": sorted(str(path.relative_to(pieces)) for path in pieces.glob("*/*")) if pieces.exists() else [],
        "quota": world.rows("SELECT project_id, resource, in_use FROM quota_usages WHERE in_use != 0"),
        "work tried in vain": world.rows("SELECT kind, resource_id FROM work WHERE attempts > 1"),
    }
