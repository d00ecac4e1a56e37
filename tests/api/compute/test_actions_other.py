"""Locking, states set by administrators, and what is asked of a running server at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.core import timeline
from stackyard.host.errors import HostError
from stackyard.services.compute.tables import instance_actions

PATH = "/compute/v2.1/servers"
VERSION = "openstack-api-version"


@pytest.fixture
def server(cloud: TestCloud) -> str:
    """A server of demo's that runs."""
    made = rows.insert(cloud)
    cloud.settle()
    assert rows.row(cloud, made).vm_state == "active"
    return made


def act(client: TestClient, server_id: str, action: str, body: Any = None, version: str = "2.1") -> Any:
    """Ask for an action, at a microversion."""
    headers = {VERSION: f"compute {version}"}
    return client.post(f"{PATH}/{server_id}/action", json={action: body}, headers=headers)


def lock_of(cloud: TestCloud, server_id: str) -> tuple[bool, str | None, str | None]:
    """Whether it is locked, by whom, why."""
    row = rows.row(cloud, server_id)
    return row.locked, row.locked_by, row.locked_reason


def test_who_locks_and_unlocks(cloud: TestCloud, server: str) -> None:
    """An owner's lock is opened by both; an administrator's only by administrators."""
    demo, admin = cloud.client("demo"), cloud.client("admin")
    assert act(demo, server, "lock").status_code == 202
    assert lock_of(cloud, server) == (True, "owner", None)
    assert act(admin, server, "unlock").status_code == 202
    assert lock_of(cloud, server) == (False, None, None)
    assert act(admin, server, "lock").status_code == 202
    assert lock_of(cloud, server) == (True, "admin", None)
    assert act(demo, server, "lock").status_code == 202
    assert lock_of(cloud, server) == (True, "admin", None)
    assert act(demo, server, "unlock").status_code == 403
    assert act(admin, server, "unlock").status_code == 202
    assert act(demo, server, "unlock").status_code == 202


def test_the_reason_of_a_lock(cloud: TestCloud, server: str) -> None:
    """Since 2.73, as a string of 1 to 255 characters; before, whatever stands there is not looked at."""
    demo = cloud.client("demo")
    assert act(demo, server, "lock", {"locked_reason": "mine"}, "2.73").status_code == 202
    assert lock_of(cloud, server) == (True, "owner", "mine")
    act(demo, server, "unlock")
    for refused in ({"locked_reason": ""}, {"locked_reason": "x" * 256}, {"locked_reason": 1}, {"why": "x"}, "x", []):
        assert act(demo, server, "lock", refused, "2.73").status_code == 400, refused
    assert lock_of(cloud, server)[0] is False
    assert act(demo, server, "lock", {"locked_reason": "unheard"}, "2.72").status_code == 202
    assert lock_of(cloud, server) == (True, "owner", None)
    act(demo, server, "unlock")
    assert act(demo, server, "lock", None, "2.73").status_code == 202


def test_an_administrator_says_what_state_it_is_in(cloud: TestCloud, server: str) -> None:
    """Error and active again; only administrators, only these two."""
    demo, admin = cloud.client("demo"), cloud.client("admin")
    assert act(demo, server, "os-resetState", {"state": "error"}).status_code == 403
    for refused in (None, {}, {"state": "stopped"}, {"state": 1}, {"state": "error", "x": 1}, {"state": "x" * 9999}):
        assert act(admin, server, "os-resetState", refused).status_code == 400, refused
    assert act(admin, server, "os-resetState", {"state": "error"}).status_code == 202
    cloud.settle()
    assert rows.row(cloud, server).vm_state == "error"
    assert act(admin, server, "os-resetState", {"state": "active"}).status_code == 202
    cloud.settle()
    row = rows.row(cloud, server)
    assert (row.vm_state, row.task_state, row.power_state) == ("active", None, 1)


def test_a_reset_ends_a_task_that_is_stuck(still_cloud: TestCloud) -> None:
    """The task is gone with its state."""
    server_id = rows.insert(still_cloud, task={"name": "stop"}, task_state="powering-off", vm_state="active")
    assert act(still_cloud.client("admin"), server_id, "os-resetState", {"state": "error"}).status_code == 202
    row = rows.row(still_cloud, server_id)
    assert (row.vm_state, row.task, row.task_state) == ("error", None, None)


def test_network_actions(cloud: TestCloud, server: str) -> None:
    """The wires are looked at again; Xen's reset is gone."""
    admin = cloud.client("admin")
    port = rows.row(cloud, server).interfaces[0]["port"]
    cloud.network.ports.pop(port)
    assert act(cloud.client("demo"), server, "injectNetworkInfo").status_code == 403
    assert act(admin, server, "injectNetworkInfo").status_code == 202
    cloud.settle()
    assert port in cloud.network.ports
    assert act(admin, server, "resetNetwork").status_code == 410


def test_a_password_goes_inside_and_nowhere_else(cloud: TestCloud, server: str) -> None:
    """The driver has it; no table does."""
    secret = "correct horse battery staple"
    answer = act(cloud.client("demo"), server, "changePassword", {"adminPass": secret})
    assert answer.status_code == 202, answer.text
    assert cloud.machines["machine"]._machines[server].passwords == {"root": secret}
    everything = [rows.row(cloud, server), cloud.database.read("t", timeline.read, server), actions(cloud, server)]
    assert secret not in repr(everything)
    assert "changePassword" in {row.action for row in actions(cloud, server)}


def actions(cloud: TestCloud, server_id: str) -> list[Any]:
    """Its actions."""
    mine = instance_actions.select().where(instance_actions.c.server_id == server_id)
    return list(cloud.database.read("actions", lambda tx: tx.all(mine)))


@pytest.mark.parametrize(
    "body", [None, {}, {"adminPass": None}, {"adminPass": 1}, {"adminPass": "x", "user": "y"}, "x"]
)
def test_a_password_must_be_one(cloud: TestCloud, server: str, body: Any) -> None:
    """400 for anything else."""
    assert act(cloud.client("demo"), server, "changePassword", body).status_code == 400


def test_when_a_password_cannot_be_set(cloud: TestCloud, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """409 when it fails or the server does not run, 501 when this kind of server cannot at all."""
    demo = cloud.client("demo")
    cloud.machines["machine"].fail_next["set_password"] = HostError("the guest agent does not answer")
    answer = act(demo, server, "changePassword", {"adminPass": "x"})
    assert answer.status_code == 409
    assert "the guest agent does not answer" in answer.json()["conflictingRequest"]["message"]
    assert [row.message for row in actions(cloud, server) if row.action == "changePassword"] == ["Error"]
    monkeypatch.setattr(cloud.machines["machine"], "abilities", frozenset())
    for action, body in (("changePassword", {"adminPass": "x"}), ("pause", None), ("suspend", None)):
        answer = act(demo, server, action, body)
        assert answer.status_code == 501, action
        assert "notImplemented" in answer.json()
    assert act(demo, server, "os-stop").status_code == 202
    cloud.settle()
    assert act(demo, server, "changePassword", {"adminPass": "x"}).status_code == 409


def test_a_crash_dump(cloud: TestCloud, server: str) -> None:
    """Since 2.17, with null."""
    demo = cloud.client("demo")
    assert act(demo, server, "trigger_crash_dump", None, "2.16").status_code == 400
    assert act(demo, server, "trigger_crash_dump", {}, "2.17").status_code == 400
    assert act(demo, server, "trigger_crash_dump", None, "2.17").status_code == 202
    assert "NMI" in cloud.machines["machine"].console_output(server)
    act(demo, server, "os-stop")
    cloud.settle()
    assert act(demo, server, "trigger_crash_dump", None, "2.17").status_code == 409


def test_diagnostics(cloud: TestCloud, server: str) -> None:
    """For administrators; in the format of 2.48 and the older one; of a server that runs."""
    admin = cloud.client("admin")
    path = f"{PATH}/{server}/diagnostics"
    assert cloud.client("demo").get(path).status_code == 403
    old = admin.get(path).json()
    assert old == {"cpu0_time": 0, "memory": 512 * 1024, "memory-rss": 0}
    new = admin.get(path, headers={VERSION: "compute 2.48"}).json()
    mac = rows.row(cloud, server).interfaces[0]["mac"]
    assert (new["state"], new["driver"], new["config_drive"], new["num_cpus"]) == ("running", "libvirt", False, 1)
    assert [nic["mac_address"] for nic in new["nic_details"]] == [mac]
    assert new["cpu_details"] == [{"id": 0, "time": 0, "utilisation": None}]
    assert new["memory_details"] == {"maximum": 512, "used": 0}
    act(admin, server, "os-stop")
    cloud.settle()
    refused = admin.get(path)
    assert refused.status_code == 409
    assert "power state shutdown" in refused.json()["conflictingRequest"]["message"]
    assert admin.get(f"{PATH}/00000000-0000-0000-0000-000000000000/diagnostics").status_code == 404


@pytest.mark.parametrize("body", [{}, {"os-start": None, "os-stop": None}, {"explode": None}, [], "os-start", None])
def test_what_is_no_action(cloud: TestCloud, server: str, body: Any) -> None:
    """Exactly one, that exists."""
    headers = {"content-type": "application/json"}
    answer = cloud.client("demo").post(f"{PATH}/{server}/action", content=json.dumps(body), headers=headers)
    assert answer.status_code == 400


def test_the_id_of_a_request_has_its_older_name_too(cloud: TestCloud, server: str) -> None:
    """In answers and in refusals."""
    demo = cloud.client("demo")
    for answer in (act(demo, server, "lock"), act(demo, server, "explode"), demo.get("/compute/v2.1/servers")):
        assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]
    assert "x-compute-request-id" not in demo.get("/network/v2.0/networks").headers
