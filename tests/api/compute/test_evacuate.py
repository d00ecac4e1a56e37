"""evacuate: a server whose host is down is made anew on another one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.host.errors import HostError, SpecError

SHARED = {"onSharedStorage": False}


@pytest.fixture
def admin(cloud: TestCloud) -> Nova:
    """The administrator's view."""
    return Nova(cloud, "admin")


@pytest.fixture
def stranded(cloud: TestCloud) -> str:
    """A server that runs on a host which is down, and is none of this process."""
    server = booted.server(cloud, Nova(cloud, "demo"))
    booted.other_host(cloud, "lost")
    cloud.machines["machine"].remove(server)
    rows.change(cloud, server, mark=False, host="lost")
    booted.put_down(cloud, "lost")
    return server


def test_it_runs_here(cloud: TestCloud, admin: Nova, stranded: str) -> None:
    """On the other host, with its ports; the move is recorded."""
    ports = rows.row(cloud, stranded).interfaces
    assert booted.act(admin, stranded, "evacuate", SHARED | {"adminPass": "x"}, status=200) == {"adminPass": "x"}
    cloud.settle()
    assert booted.states(cloud, stranded) == ("active", None, "running", 1)
    row = rows.row(cloud, stranded)
    assert (row.host, row.interfaces) == ("testhost", ports)
    move = booted.move(cloud, stranded)
    assert (move.migration_type, move.status, move.source_compute, move.dest_compute) == (
        "evacuation", "done", "lost", "testhost",
    )  # fmt: skip
    port = cloud.client("admin").get(f"/network/v2.0/ports/{ports[0]['port']}").json()["port"]
    assert port["binding:host_id"] == "testhost"
    assert booted.held(cloud, stranded) == {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


def test_since_2_95_it_is_stopped(cloud: TestCloud, admin: Nova, stranded: str) -> None:
    """For its owner to start."""
    booted.act(admin, stranded, "evacuate", {"host": "testhost"}, status=200, version="2.95")
    cloud.settle()
    assert booted.states(cloud, stranded) == ("stopped", None, "stopped", 4)


def test_one_that_was_stopped(cloud: TestCloud, admin: Nova, stranded: str) -> None:
    """Is stopped there."""
    rows.change(cloud, stranded, mark=False, vm_state="stopped", power="stopped")
    booted.act(admin, stranded, "evacuate", {}, status=200, version="2.14")
    cloud.settle()
    assert booted.states(cloud, stranded) == ("stopped", None, "stopped", 4)


def test_hosts_that_will_not_do(cloud: TestCloud, admin: Nova, stranded: str) -> None:
    """One that is up, the same one, one that there is not; and no other one."""
    told = booted.act(admin, stranded, "evacuate", SHARED | {"host": "lost"}, status=400)
    assert told["message"] == "The target host can't be the same one."
    told = booted.act(admin, stranded, "evacuate", SHARED | {"host": "nohost"}, status=404)
    assert told["message"] == "Compute host nohost not found."
    booted.put_down(cloud, "lost", down=False)
    told = booted.act(admin, stranded, "evacuate", SHARED, status=400)
    assert told["message"] == "Compute service of lost is still in use."
    booted.put_down(cloud, "lost")
    booted.put_down(cloud, "testhost")
    before, held = rows.row(cloud, stranded), booted.held(cloud, stranded)
    told = booted.act(admin, stranded, "evacuate", SHARED, status=400)
    assert told["message"].startswith("No valid host was found")
    assert (rows.row(cloud, stranded), booted.held(cloud, stranded)) == (before, held)


def test_bodies_by_microversion(cloud: TestCloud, admin: Nova) -> None:
    """onSharedStorage until 2.13, force from 2.29 to 2.67."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    bad: list[tuple[str, Any]] = [
        ("2.1", {}), ("2.1", None), ("2.14", SHARED), ("2.28", {"force": True}), ("2.68", {"force": True}),
        ("2.29", {"force": "x"}), (LATEST, {"host": ""}), (LATEST, {"host": "a b"}), (LATEST, {"adminPass": 1}),
        (LATEST, {"host": None}), ("2.1", {"onSharedStorage": "x"}),
    ]  # fmt: skip
    for version, body in bad:
        told = booted.act(admin, server, "evacuate", body, status=400, version=version)
        assert "Invalid input for" in told["message"], (version, body)
    told = booted.act(admin, server, "evacuate", {"force": True}, status=400, version="2.29")
    assert told["message"] == "Can't force to a non-provided destination"
    told = booted.act(admin, server, "evacuate", {"onSharedStorage": True, "adminPass": "x"}, status=400)
    assert told["message"] == "admin password can't be changed on existing disk"


def test_states_and_people(cloud: TestCloud, admin: Nova) -> None:
    """409 in a wrong state, 403 for a tenant, 404 for a server that is not there."""
    server = rows.insert(cloud, mark=False, vm_state="paused", task_state=None, task=None)
    assert "vm_state paused" in booted.act(admin, server, "evacuate", SHARED, status=409)["message"]
    booted.act(Nova(cloud, "demo"), server, "evacuate", SHARED, status=403)
    booted.act(admin, ids.new_uuid(), "evacuate", SHARED, status=404)


@pytest.mark.parametrize("step", ["define", "start"])
def test_failures(cloud: TestCloud, admin: Nova, stranded: str, step: str) -> None:
    """Tried again while it may pass; else ERROR, and a rebuild brings it back."""
    cloud.machines["machine"].fail_next[step] = SpecError("it cannot be")
    booted.act(admin, stranded, "evacuate", {}, status=200, version="2.14")
    cloud.settle()
    assert booted.status(admin, stranded) == "ERROR"
    assert booted.move(cloud, stranded).status == "failed"
    cloud.machines["machine"].fail_next[step] = HostError("busy")
    booted.act(admin, stranded, "rebuild", {"imageRef": rows.row(cloud, stranded).image_id})
    cloud.settle()
    assert booted.states(cloud, stranded) == ("active", None, "running", 1)
