"""createBackup: rotation, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def _backup(cloud: TestCloud, demo: Nova, server: str, name: str, rotation: int | str, kind: str = "daily") -> str:
    body = {"name": name, "backup_type": kind, "rotation": rotation}
    image_id: str = booted.act(demo, server, "createBackup", body, version="2.45")["image_id"]
    cloud.settle()
    return image_id


def test_the_oldest_go(cloud: TestCloud, demo: Nova) -> None:
    """More than `rotation` of a type are deleted, oldest first; another type, a snapshot and what is protected stay."""
    server = booted.server(cloud, demo)
    first = _backup(cloud, demo, server, "one", 2)
    weekly = _backup(cloud, demo, server, "weekly", 1, "weekly")
    shot = booted.act(demo, server, "createImage", {"name": "shot"}, version="2.45")["image_id"]
    cloud.settle()
    second = _backup(cloud, demo, server, "two", "2")
    properties = booted.image(cloud, second)
    assert (properties["image_type"], properties["backup_type"], properties["status"]) == ("backup", "daily", "active")
    third = _backup(cloud, demo, server, "three", 2)
    there = {image_id: bool(booted.image(cloud, image_id)) for image_id in (first, second, third, weekly, shot)}
    assert there == {first: False, second: True, third: True, weekly: True, shot: True}
    patch = [{"op": "replace", "path": "/protected", "value": True}]
    headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
    answer = cloud.client("demo").patch(f"/image/v2/images/{second}", json=patch, headers=headers)
    assert answer.status_code == 200, answer.text
    fourth = _backup(cloud, demo, server, "four", 1)
    assert [bool(booted.image(cloud, one)) for one in (second, third, fourth)] == [True, False, True]
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_none_is_kept(cloud: TestCloud, demo: Nova) -> None:
    """With a rotation of 0 all of the type go, the new one too, and there is no Location."""
    server = booted.server(cloud, demo)
    first = _backup(cloud, demo, server, "one", 1)
    body = {"createBackup": {"name": "two", "backup_type": "daily", "rotation": 0}}
    answer = demo.http.post(f"/compute/v2.1/servers/{server}/action", json=body)
    assert (answer.status_code, answer.headers.get("location")) == (202, None)
    cloud.settle()
    assert booted.image(cloud, first) == {}
    assert cloud.client("demo").get("/image/v2/images?name=two").json()["images"] == []


def test_where_it_is_before_2_45(cloud: TestCloud, demo: Nova) -> None:
    """The Location names the image at compute's own address."""
    server = booted.server(cloud, demo)
    body = {"createBackup": {"name": "one", "backup_type": "daily", "rotation": 1}}
    answer = demo.http.post(f"/compute/v2.1/servers/{server}/action", json=body)
    cloud.settle()
    assert "/images/" in answer.headers["location"]
    assert booted.image(cloud, answer.headers["location"].rpartition("/")[2])["status"] == "active"


@pytest.mark.parametrize(
    "body",
    [
        None, {}, {"name": "a"}, {"name": "a", "backup_type": "d"}, {"name": "a", "rotation": 1},
        {"name": "a", "backup_type": "d", "rotation": -1}, {"name": "a", "backup_type": "d", "rotation": "x"},
        {"name": "a", "backup_type": "d", "rotation": 1.5}, {"name": "", "backup_type": "d", "rotation": 1},
        {"name": "a", "backup_type": 1, "rotation": 1}, {"name": "a", "backup_type": "x" * 256, "rotation": 1},
        {"name": "a", "backup_type": "d", "rotation": 1, "x": 1}, {"name": "a", "backup_type": "d", "rotation": 2**40},
    ],
)  # fmt: skip
def test_bad_bodies(cloud: TestCloud, demo: Nova, body: Any) -> None:
    """Each is a 400."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    booted.act(demo, server, "createBackup", body, status=400)


def test_states_and_strangers(cloud: TestCloud, demo: Nova) -> None:
    """409 in a state that does not allow it, 404 for who may not know of the server."""
    server = rows.insert(cloud, mark=False, vm_state="rescued", task_state=None, task=None)
    body = {"name": "a", "backup_type": "d", "rotation": 1}
    told = booted.act(demo, server, "createBackup", body, status=409)
    assert "vm_state rescued" in told["message"]
    mine = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None, project_id="f" * 32)
    booted.act(demo, mine, "createBackup", body, status=404)
