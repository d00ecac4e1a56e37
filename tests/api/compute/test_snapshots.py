"""createImage: what is reserved, what becomes of it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def test_the_image_of_a_server(cloud: TestCloud, demo: Nova) -> None:
    """It has the disk, the formats of the kind, the properties that Nova gives it, and the user's own."""
    base = rows.image(cloud)
    server = booted.server(cloud, demo, image=base)
    body = {"name": "snap", "metadata": {"purpose": "test"}}
    made = booted.act(demo, server, "createImage", body, version="2.45")
    assert set(made) == {"image_id"}
    cloud.settle()
    image = booted.image(cloud, made["image_id"])
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
    assert (image["name"], image["visibility"], image["min_disk"], image["purpose"]) == ("snap", "private", 1, "test")
    row = rows.row(cloud, server)
    assert (image["instance_uuid"], image["base_image_ref"], image["image_type"]) == (server, base, "snapshot")
    assert (image["owner"], image["user_id"]) == (row.project_id, row.user_id)
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert "compute_snapshot_instance" in {event.event for event in rows.events(cloud, server)}
    again = booted.server(cloud, demo, image=made["image_id"])
    assert cloud.machines["machine"].spec(again).image.id == made["image_id"]  # type: ignore[union-attr]
    assert not list((cloud.runtime.provided["state directory"] / "compute" / "snapshots").iterdir())


def test_where_it_is_before_2_45(cloud: TestCloud, demo: Nova) -> None:
    """The answer has no body; its Location names the image."""
    server = booted.server(cloud, demo)
    answer = demo.http.post(f"/compute/v2.1/servers/{server}/action", json={"createImage": {"name": "snap"}})
    assert (answer.status_code, answer.content) == (202, b"")
    image_id = answer.headers["location"].rpartition("/")[2]
    cloud.settle()
    assert booted.image(cloud, image_id)["status"] == "active"


@pytest.mark.parametrize(("action", "state"), [("os-stop", "stopped"), ("pause", "paused"), ("suspend", "suspended")])
def test_of_a_server_that_does_not_run(cloud: TestCloud, demo: Nova, action: str, state: str) -> None:
    """Stopped, paused and suspended servers have images made of them too, and stay as they are."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, action)
    cloud.settle()
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    cloud.settle()
    assert booted.image(cloud, made["image_id"])["status"] == "active"
    assert booted.states(cloud, server)[:2] == (state, None)


def test_one_at_a_time_and_not_while_it_cannot_be(still_cloud: TestCloud) -> None:
    """While one is under way another one, a backup and a stop are refused; delete is not, and takes the image along."""
    cloud, demo = still_cloud, Nova(still_cloud, "demo")
    cloud.start()
    server = booted.server(cloud, demo)
    cloud.cloud.reconcile.stop()
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    assert rows.row(cloud, server).task_state == "image_snapshot_pending"
    assert booted.image(cloud, made["image_id"])["status"] == "queued"
    backup = {"name": "b", "backup_type": "daily", "rotation": 1}
    for action, body in (("createImage", {"name": "snap"}), ("createBackup", backup), ("os-stop", None)):
        told = booted.act(demo, server, action, body, status=409)
        assert "while it is in task_state image_snapshot_pending" in told["message"]
    demo.delete(f"/servers/{server}", status=204)


def test_a_server_deleted_meanwhile(cloud: TestCloud, demo: Nova) -> None:
    """An image that was never filled goes with its server."""
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next["snapshot"] = HostError("busy")
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    demo.get(f"/servers/{server}", status=404)
    assert booted.image(cloud, made["image_id"]).get("status", "gone") in ("active", "gone")
    found = cloud.client("demo").get("/image/v2/images?status=queued").json()["images"]
    assert found == []


def test_an_image_deleted_meanwhile(cloud: TestCloud, demo: Nova) -> None:
    """The server goes on, without a fault."""
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next["snapshot"] = HostError("busy")
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    cloud.client("demo").delete(f"/image/v2/images/{made['image_id']}")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_a_snapshot_that_fails(cloud: TestCloud, demo: Nova) -> None:
    """What may pass is tried again; what cannot be leaves the server as it was, the image gone, the action failed."""
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next["snapshot"] = HostError("the disk is busy")
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    cloud.settle()
    assert booted.image(cloud, made["image_id"])["status"] == "active"
    cloud.machines["machine"].fail_next["snapshot"] = SpecError("there is no disk")
    made = booted.act(demo, server, "createImage", {"name": "snap"}, version="2.45")
    cloud.settle()
    assert booted.image(cloud, made["image_id"]) == {}
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert booted.status(demo, server) == "ACTIVE"
    events = [event for event in rows.events(cloud, server) if event.event == "compute_snapshot_instance"]
    assert "there is no disk" in str([event.details for event in events])


def test_what_a_killed_cloud_left(still_cloud: TestCloud) -> None:
    """Half-written snapshots are deleted at the start."""
    folder = still_cloud.runtime.provided["state directory"] / "compute" / "snapshots"
    folder.mkdir(parents=True)
    (folder / "half").write_bytes(b"x")
    still_cloud.start()
    booted.until(lambda: not list(folder.iterdir()))


@pytest.mark.parametrize(
    "body",
    [
        None, [], "x", {}, {"name": ""}, {"name": " a"}, {"name": "x" * 256}, {"name": 1}, {"name": "a\u0007b"},
        {"name": "a", "other": 1}, {"name": "a", "metadata": []}, {"name": "a", "metadata": {"": "x"}},
        {"name": "a", "metadata": {"x" * 256: "x"}}, {"name": "a", "metadata": {"x": "y" * 256}},
        {"name": "a", "metadata": {"x": 1}}, {"name": "a", "metadata": {"a/b": "c"}},
        {"name": "a", "metadata": {"visibility": "public"}}, {"name": "a", "metadata": {"status": "active"}},
    ],
)  # fmt: skip
def test_bad_bodies(cloud: TestCloud, demo: Nova, body: Any) -> None:
    """Each is a 400, and nothing is made."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    booted.act(demo, server, "createImage", body, status=400)
    assert cloud.client("demo").get("/image/v2/images?status=queued").json()["images"] == []


def test_too_much_metadata(cloud: TestCloud, demo: Nova) -> None:
    """Up to 2.38 metadata items are limited as the server's are; from 2.39 on by the image service alone."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    body = {"name": "a", "metadata": {f"key{index}": "x" for index in range(129)}}
    booted.act(demo, server, "createImage", body, status=403, version="2.38")


def test_who_may(cloud: TestCloud, demo: Nova) -> None:
    """A foreign server is not found; a lock does not matter; an administrator's image is shared with the owner."""
    server = booted.server(cloud, demo)
    stranger = Nova(cloud, "demo", "demo")
    booted.act(stranger, "0" * 8 + "-0000-4000-8000-000000000000", "createImage", {"name": "x"}, status=404)
    booted.act(demo, server, "lock")
    made = booted.act(Nova(cloud, "admin"), server, "createImage", {"name": "x"}, version="2.45")
    cloud.settle()
    image = booted.image(cloud, made["image_id"])
    assert (image["visibility"], image["instance_owner"]) == ("shared", rows.row(cloud, server).project_id)


@pytest.mark.parametrize("state", ["building", "error", "rescued", "resized", "shelved", "shelved_offloaded"])
def test_states_that_do_not_allow_it(cloud: TestCloud, demo: Nova, state: str) -> None:
    """409 with Nova's words."""
    server = rows.insert(cloud, mark=False, vm_state=state, task_state=None, task=None)
    told = booted.act(demo, server, "createImage", {"name": "x"}, status=409)
    assert told["message"] == f"Cannot 'createImage' instance {server} while it is in vm_state {state}"
