"""shelve, shelveOffload, unshelve: where the server is meanwhile, how it comes back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError

TINY = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def _shelved(cloud: TestCloud, demo: Nova) -> tuple[str, str]:
    """A server that was shelved, and the image that it was shelved as."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED_OFFLOADED"
    return server, rows.row(cloud, server).system_metadata["shelved_image_id"]


def test_there_and_back(cloud: TestCloud, demo: Nova) -> None:
    """It leaves its host with all that it held there, keeps its ports, and is made of its image again; that goes."""
    base = rows.image(cloud)
    server = booted.server(cloud, demo, image=base)
    before = rows.row(cloud, server)
    booted.act(demo, server, "shelve")
    cloud.settle()
    row = rows.row(cloud, server)
    assert (row.host, row.zone, row.interfaces) == (None, None, before.interfaces)
    assert booted.states(cloud, server) == ("shelved_offloaded", None, "none", 0)
    assert cloud.machines["machine"].inspect(server) is None
    assert booted.held(cloud, server) == {}
    port = cloud.client("demo").get(f"/network/v2.0/ports/{row.interfaces[0]['port']}").json()["port"]
    assert (port["device_id"], port["status"]) == (server, "DOWN")
    shelved = booted.image(cloud, row.system_metadata["shelved_image_id"])
    assert (shelved["status"], shelved["name"]) == ("active", f"{row.name}-shelved")
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    row = rows.row(cloud, server)
    assert (row.host, row.zone, row.image_id) == ("testhost", "nova", base)
    assert "shelved_image_id" not in row.system_metadata
    assert booted.held(cloud, server) == TINY
    assert booted.image(cloud, shelved["id"]) == {}
    root = cloud.machines["machine"].spec(server).image
    assert root is not None
    assert root.id == shelved["id"]
    booted.act(demo, server, "reboot", {"type": "HARD"})
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    booted.act(demo, server, "rebuild", {"imageRef": base})
    cloud.settle()
    root = cloud.machines["machine"].spec(server).image
    assert root is not None
    assert root.id == base
    told = {event.event for event in rows.events(cloud, server)}
    assert told >= {"compute_shelve_instance", "compute_shelve_offload_instance", "compute_unshelve_instance"}


@pytest.mark.parametrize("action", ["os-stop", "pause", "suspend"])
def test_one_that_does_not_run(cloud: TestCloud, demo: Nova, action: str) -> None:
    """Stopped, paused and suspended ones are shelved too, and run when they come back."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, action)
    cloud.settle()
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED_OFFLOADED"
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_one_that_is_deleted(cloud: TestCloud, demo: Nova) -> None:
    """Its image goes with it."""
    server, image = _shelved(cloud, demo)
    project = rows.row(cloud, server).project_id
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    demo.get(f"/servers/{server}", status=404)
    assert booted.image(cloud, image) == {}
    assert booted.used(cloud, project) == (0, 0, 0)


def test_zones_and_hosts(cloud: TestCloud, demo: Nova) -> None:
    """From 2.77 a zone may be asked for, from 2.91 a host too, by an administrator; a null zone lets it be in any."""
    server, _ = _shelved(cloud, demo)
    admin = Nova(cloud, "admin")
    no_zone = {"availability_zone": "nowhere"}
    told = booted.act(demo, server, "unshelve", no_zone, status=400, version="2.77")
    assert told["message"] == "The requested availability zone is not available"
    for body in ({}, {"availability_zone": None}, {"availability_zone": ""}, {"host": "testhost"}, "x", []):
        booted.act(demo, server, "unshelve", body, status=400, version="2.77")
    booted.act(demo, server, "unshelve", {"host": "testhost"}, status=403, version="2.91")
    told = booted.act(admin, server, "unshelve", {"host": "nohost"}, status=400, version="2.91")
    assert told["message"] == "Compute host nohost could not be found."
    for body in ({"host": None}, {"host": 1}, {"zone": "nova"}, {"availability_zone": 1}):
        booted.act(admin, server, "unshelve", body, status=400, version="2.91")
    booted.act(admin, server, "unshelve", {"availability_zone": "nova", "host": "testhost"}, version="2.91")
    cloud.settle()
    assert rows.row(cloud, server).asked_zone == "nova"
    told = booted.act(demo, server, "shelve")
    cloud.settle()
    booted.act(demo, server, "unshelve", {"availability_zone": None}, version="2.91")
    cloud.settle()
    row = rows.row(cloud, server)
    assert (row.asked_zone, row.host, row.vm_state) == (None, "testhost", "active")


def test_a_host_of_another_zone(cloud: TestCloud, demo: Nova) -> None:
    """409."""
    server, _ = _shelved(cloud, demo)
    admin = Nova(cloud, "admin")
    booted.other_host(cloud)
    aggregate = admin.post("/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "far"}})["aggregate"]
    admin.post(f"/os-aggregates/{aggregate['id']}/action", {"add_host": {"host": "otherhost"}})
    body = {"availability_zone": "nova", "host": "otherhost"}
    told = booted.act(admin, server, "unshelve", body, status=409, version="2.91")
    assert told["message"] == 'Host "otherhost" is not in the availability zone "nova".'


def test_no_host_has_room(cloud: TestCloud, demo: Nova) -> None:
    """400 with the scheduler's reason, and it stays shelved."""
    server, image = _shelved(cloud, demo)
    booted.put_down(cloud, "testhost")
    told = booted.act(demo, server, "unshelve", status=400)
    assert told["message"].startswith("No valid host was found")
    assert booted.states(cloud, server)[:2] == ("shelved_offloaded", None)
    assert booted.image(cloud, image)["status"] == "active"
    booted.put_down(cloud, "testhost", down=False)
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.status(demo, server) == "ACTIVE"


def test_offload_by_itself(cloud: TestCloud, demo: Nova) -> None:
    """A server that is shelved and still on its host can be offloaded by an administrator, or brought back as it is."""
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next["remove"] = SpecError("it is held")
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED"
    body = {"availability_zone": "nova"}
    told = booted.act(demo, server, "unshelve", body, status=409, version="2.77")
    assert "must be SHELVED_OFFLOADED" in told["message"]
    booted.act(demo, server, "shelveOffload", status=403)
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    cloud.machines["machine"].fail_next["remove"] = SpecError("it is held")
    booted.act(demo, server, "shelve")
    cloud.settle()
    booted.act(Nova(cloud, "admin"), server, "shelveOffload")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED_OFFLOADED"
    booted.act(Nova(cloud, "admin"), server, "shelveOffload", status=409)


@pytest.mark.parametrize("step", ["stop", "snapshot"])
def test_a_shelving_that_fails(cloud: TestCloud, demo: Nova, step: str) -> None:
    """The server runs on as before, and the image is gone."""
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next[step] = SpecError("it cannot be")
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert cloud.client("demo").get("/image/v2/images?status=queued").json()["images"] == []
    cloud.machines["machine"].fail_next[step] = HostError("busy")
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED_OFFLOADED"


@pytest.mark.parametrize("step", ["load_image", "define", "start"])
def test_an_unshelving_that_fails(cloud: TestCloud, demo: Nova, step: str) -> None:
    """It stays shelved, holds nothing, and may be tried again."""
    server, image = _shelved(cloud, demo)
    cloud.machines["machine"].fail_next[step] = SpecError("it cannot be")
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("shelved_offloaded", None, "none", 0)
    assert (booted.held(cloud, server), rows.row(cloud, server).host) == ({}, None)
    assert booted.image(cloud, image)["status"] == "active"
    cloud.machines["machine"].fail_next[step] = HostError("busy")
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_an_image_that_was_deleted(cloud: TestCloud, demo: Nova) -> None:
    """It cannot come back; the action says why, and it can be deleted."""
    server, image = _shelved(cloud, demo)
    assert cloud.client("demo").delete(f"/image/v2/images/{image}").status_code == 204
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert booted.states(cloud, server) == ("shelved_offloaded", None, "none", 0)
    assert "was deleted" in str([event.details for event in rows.events(cloud, server)])
    demo.delete(f"/servers/{server}", status=204)
    demo.get(f"/servers/{server}", status=404)


@pytest.mark.parametrize(
    ("action", "state"),
    [("shelve", one) for one in ("building", "error", "rescued", "resized", "shelved", "shelved_offloaded")]
    + [("unshelve", one) for one in ("building", "error", "active", "stopped")],
)
def test_states_that_do_not_allow_it(cloud: TestCloud, demo: Nova, action: str, state: str) -> None:
    """409."""
    server = rows.insert(cloud, mark=False, vm_state=state, task_state=None, task=None)
    told = booted.act(demo, server, action, status=409)
    assert told["message"] == f"Cannot '{action}' instance {server} while it is in vm_state {state}"


def test_locks_and_strangers(cloud: TestCloud, demo: Nova) -> None:
    """409 for a locked one, 404 for a foreign one."""
    given: Any = {"mark": False, "task": None, "task_state": None}
    for action, state in (("shelve", "active"), ("unshelve", "shelved_offloaded")):
        server = rows.insert(cloud, vm_state=state, locked=True, **given)
        assert "is locked" in booted.act(demo, server, action, status=409)["message"]
        foreign = rows.insert(cloud, vm_state=state, project_id="f" * 32, **given)
        booted.act(demo, foreign, action, status=404)
