"""resize, confirmResize, revertResize: flavors, quota, Placement, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError

TINY = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
MEDIUM = {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 40}


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def _resized(cloud: TestCloud, demo: Nova, flavor: str = "3") -> str:
    server = booted.server(cloud, demo)
    booted.act(demo, server, "resize", {"flavorRef": flavor})
    cloud.settle()
    assert booted.status(demo, server) == "VERIFY_RESIZE"
    return server


def test_resize_and_confirm(cloud: TestCloud, demo: Nova) -> None:
    """Until it is confirmed both flavors are held in Placement and the larger one is counted; then only the new one."""
    server = booted.server(cloud, demo)
    project = rows.row(cloud, server).project_id
    booted.act(demo, server, "resize", {"flavorRef": "3"})
    assert booted.status(demo, server) in ("RESIZE", "VERIFY_RESIZE")
    cloud.settle()
    move = booted.move(cloud, server)
    assert (move.migration_type, move.status, move.source_compute) == ("resize", "finished", "testhost")
    assert (booted.held(cloud, server), booted.held(cloud, move.uuid)) == (MEDIUM, TINY)
    assert booted.used(cloud, project) == (1, 2, 4096)
    spec = cloud.machines["machine"].spec(server)
    assert (spec.vcpus, spec.memory, spec.root_disk) == (2, 4096, 40)
    assert booted.states(cloud, server) == ("resized", None, "running", 1)
    assert demo.get(f"/servers/{server}")["server"]["flavor"]["id"] == "3"
    assert booted.act(demo, server, "confirmResize", status=204) is None
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert (booted.held(cloud, server), booted.held(cloud, move.uuid)) == (MEDIUM, {})
    assert (booted.move(cloud, server).status, rows.row(cloud, server).old_flavor) == ("confirmed", None)
    told = {event.event for event in rows.events(cloud, server)}
    assert told >= {"compute_resize_instance", "compute_finish_resize"}
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert booted.used(cloud, project) == (0, 0, 0)
    assert booted.held(cloud, server) == {}


def test_resize_and_revert(cloud: TestCloud, demo: Nova) -> None:
    """Everything is as it was before."""
    server = _resized(cloud, demo)
    project = rows.row(cloud, server).project_id
    move = booted.move(cloud, server)
    booted.act(demo, server, "revertResize")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert (booted.held(cloud, server), booted.held(cloud, move.uuid)) == (TINY, {})
    assert booted.used(cloud, project) == (1, 1, 512)
    row = rows.row(cloud, server)
    assert (row.flavor_id, row.flavor["vcpus"], row.old_flavor) == ("1", 1, None)
    assert booted.move(cloud, server).status == "reverted"
    assert cloud.machines["machine"].spec(server).vcpus == 1
    for action in ("revertResize", "confirmResize"):
        booted.act(demo, server, action, status=409)


def test_a_smaller_one(cloud: TestCloud, demo: Nova) -> None:
    """The quota counts the former flavor until it is confirmed."""
    server = booted.server(cloud, demo, flavor="d3")
    project = rows.row(cloud, server).project_id
    booted.act(demo, server, "resize", {"flavorRef": "d2"})
    cloud.settle()
    assert booted.used(cloud, project) == (1, 2, 2048)
    booted.act(demo, server, "confirmResize", status=204)
    assert booted.used(cloud, project) == (1, 1, 1024)


def test_one_that_is_stopped(cloud: TestCloud, demo: Nova) -> None:
    """It stays stopped through resize, confirm, and revert."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, "os-stop")
    cloud.settle()
    booted.act(demo, server, "resize", {"flavorRef": "2"})
    cloud.settle()
    assert booted.states(cloud, server) == ("resized", None, "stopped", 4)
    booted.act(demo, server, "confirmResize", status=204)
    assert booted.status(demo, server) == "SHUTOFF"
    booted.act(demo, server, "resize", {"flavorRef": "3"})
    cloud.settle()
    booted.act(demo, server, "revertResize")
    cloud.settle()
    assert booted.states(cloud, server) == ("stopped", None, "stopped", 4)
    booted.act(demo, server, "os-start")
    cloud.settle()
    assert cloud.machines["machine"].spec(server).memory == 2048


def test_flavors_that_will_not_do(cloud: TestCloud, demo: Nova) -> None:
    """The same one, an unknown one, a smaller disk, none: 400, and nothing is held for it."""
    server = booted.server(cloud, demo, flavor="2")
    project = rows.row(cloud, server).project_id
    for flavor, text in (
        ("2", "must change flavor"), ("nosuch", "could not be found"), ("1", "made smaller"), ("", "flavorRef"),
    ):  # fmt: skip
        told = booted.act(demo, server, "resize", {"flavorRef": flavor}, status=400)
        assert text in told["message"]
    assert booted.used(cloud, project) == (1, 1, 2048)
    assert booted.move(cloud, server) is None


@pytest.mark.parametrize(
    "body",
    [None, {}, [], {"flavorRef": None}, {"flavorRef": {}}, {"flavorRef": "3", "x": 1},
     {"flavorRef": "3", "OS-DCF:diskConfig": "x"}],
)  # fmt: skip
def test_bad_bodies(cloud: TestCloud, demo: Nova, body: Any) -> None:
    """Each is a 400."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    booted.act(demo, server, "resize", body, status=400)


def test_disk_config(cloud: TestCloud, demo: Nova) -> None:
    """It is changed with the flavor."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, "resize", {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"})
    cloud.settle()
    assert demo.get(f"/servers/{server}")["server"]["OS-DCF:diskConfig"] == "AUTO"


def test_more_than_there_is(cloud: TestCloud, demo: Nova) -> None:
    """Past the quota 403, past the host 400; nothing is held after either."""
    server = booted.server(cloud, demo)
    row = rows.row(cloud, server)
    admin = Nova(cloud, "admin")
    for name, memory, cpus in (("cores", 1024, 30), ("ram", 90000, 1)):
        flavor = {"name": name, "ram": memory, "vcpus": cpus, "disk": 1}
        flavor_id = admin.post("/flavors", {"flavor": flavor})["flavor"]["id"]
        told = booted.act(demo, server, "resize", {"flavorRef": flavor_id}, status=403)
        assert "Quota exceeded" in told["message"]
    flavor = {"name": "disk", "ram": 512, "vcpus": 1, "disk": 100000}
    flavor_id = admin.post("/flavors", {"flavor": flavor})["flavor"]["id"]
    told = booted.act(demo, server, "resize", {"flavorRef": flavor_id}, status=400)
    assert "No valid host was found" in told["message"]
    assert booted.held(cloud, server) == TINY
    assert booted.used(cloud, row.project_id) == (1, 1, 512)
    assert rows.row(cloud, server) == row


def test_a_user_of_limits(cloud: TestCloud, demo: Nova) -> None:
    """The user's own limit holds too, within the project's."""
    server = booted.server(cloud, demo)
    row = rows.row(cloud, server)
    admin = Nova(cloud, "admin")
    admin.put(f"/os-quota-sets/{row.project_id}?user_id={row.user_id}", {"quota_set": {"cores": 1}})
    told = booted.act(demo, server, "resize", {"flavorRef": "3"}, status=403)
    assert told["message"] == "Quota exceeded for cores: Requested 1, but already used 1 of 1 cores"
    assert booted.used(cloud, row.project_id) == (1, 1, 512)


@pytest.mark.parametrize("state", ["building", "paused", "suspended", "rescued", "error", "shelved"])
def test_states_that_do_not_allow_it(cloud: TestCloud, demo: Nova, state: str) -> None:
    """409 for all three."""
    server = rows.insert(cloud, mark=False, vm_state=state, task_state=None, task=None)
    for action, body in (("resize", {"flavorRef": "3"}), ("confirmResize", None), ("revertResize", None)):
        told = booted.act(demo, server, action, body, status=409)
        assert told["message"] == f"Cannot '{action}' instance {server} while it is in vm_state {state}"


def test_locks_and_strangers(cloud: TestCloud, demo: Nova) -> None:
    """409 for a locked one, 404 for a foreign one."""
    server = _resized(cloud, demo)
    booted.act(demo, server, "lock")
    for action in ("confirmResize", "revertResize"):
        assert "is locked" in booted.act(demo, server, action, status=409)["message"]
    foreign = rows.insert(cloud, mark=False, vm_state="resized", task=None, task_state=None, project_id="f" * 32)
    for action, body in (("resize", {"flavorRef": "3"}), ("confirmResize", None), ("revertResize", None)):
        booted.act(demo, foreign, action, body, status=404)


@pytest.mark.parametrize("step", ["stop", "define", "start"])
def test_failures(cloud: TestCloud, demo: Nova, step: str) -> None:
    """Tried again while it may pass; else ERROR with the former flavor, nothing held twice; a reboot brings it back."""
    server = booted.server(cloud, demo)
    project = rows.row(cloud, server).project_id
    driver = cloud.machines["machine"]
    driver.fail_next[step] = SpecError("it cannot be")
    booted.act(demo, server, "resize", {"flavorRef": "3"})
    cloud.settle()
    shown = demo.get(f"/servers/{server}")["server"]
    assert (shown["status"], shown["flavor"]["id"]) == ("ERROR", "1")
    assert "it cannot be" in shown["fault"]["message"]
    move = booted.move(cloud, server)
    assert (move.status, booted.held(cloud, server), booted.held(cloud, move.uuid)) == ("error", TINY, {})
    assert booted.used(cloud, project) == (1, 1, 512)
    booted.act(demo, server, "reboot", {"type": "HARD"})
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    driver.fail_next[step] = HostError("busy")
    booted.act(demo, server, "resize", {"flavorRef": "3"})
    cloud.settle()
    assert booted.status(demo, server) == "VERIFY_RESIZE"
    driver.fail_next[step] = HostError("busy")
    booted.act(demo, server, "revertResize")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_deleted_before_it_is_confirmed(cloud: TestCloud, demo: Nova) -> None:
    """Nothing is left of either flavor; nor when it is deleted while the resize is under way."""
    server = _resized(cloud, demo)
    project = rows.row(cloud, server).project_id
    move = booted.move(cloud, server)
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert (booted.held(cloud, server), booted.held(cloud, move.uuid)) == ({}, {})
    assert booted.used(cloud, project) == (0, 0, 0)
    server = booted.server(cloud, demo)
    cloud.machines["machine"].fail_next["define"] = HostError("busy")
    booted.act(demo, server, "resize", {"flavorRef": "3"})
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    move = booted.move(cloud, server)
    assert (booted.held(cloud, server), booted.held(cloud, move.uuid)) == ({}, {})
    assert booted.used(cloud, project) == (0, 0, 0)
