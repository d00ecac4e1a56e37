"""Starting, stopping, rebooting, pausing, suspending: what is allowed when, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError

PATH = "/compute/v2.1/servers"


@pytest.fixture
def server(cloud: TestCloud) -> str:
    """A server of demo's that runs."""
    made = rows.insert(cloud)
    cloud.settle()
    assert rows.row(cloud, made).vm_state == "active"
    return made


def act(client: TestClient, server_id: str, action: str, body: Any = None) -> Any:
    """Ask for an action."""
    return client.post(f"{PATH}/{server_id}/action", json={action: body})


def state(cloud: TestCloud, server_id: str) -> tuple[str, str | None, int, str | None]:
    """Vm_state, task_state and power_state as written, and what the host shows."""
    row = rows.row(cloud, server_id)
    seen = cloud.machines["machine"].inspect(server_id)
    return row.vm_state, row.task_state, row.power_state, None if seen is None else seen.state


def test_each_action_and_back(cloud: TestCloud, server: str) -> None:
    """Stop and start, pause and unpause, suspend and resume, both reboots: 202, the state, the action with its step."""
    demo = cloud.client("demo")
    steps: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("os-stop", None, ("stopped", None, 4, "stopped")),
        ("os-start", None, ("active", None, 1, "running")),
        ("pause", None, ("paused", None, 3, "paused")),
        ("unpause", None, ("active", None, 1, "running")),
        ("suspend", None, ("suspended", None, 4, "suspended")),
        ("resume", None, ("active", None, 1, "running")),
        ("reboot", {"type": "SOFT"}, ("active", None, 1, "running")),
        ("reboot", {"type": "Hard"}, ("active", None, 1, "running")),
    ]
    for action, body, expected in steps:
        answer = act(demo, server, action, body)
        assert (answer.status_code, answer.content) == (202, b""), (action, answer.text)
        cloud.settle()
        assert state(cloud, server) == expected, action
    told = {event.event for event in rows.events(cloud, server)}
    assert told >= {
        "compute_stop_instance",
        "compute_start_instance",
        "compute_pause_instance",
        "compute_resume_instance",
        "compute_reboot_instance",
    }
    assert {event.result for event in rows.events(cloud, server)} == {"Success"}


def test_what_a_state_does_not_allow_is_refused(cloud: TestCloud, server: str) -> None:
    """409 with Nova's words, and nothing changes."""
    demo = cloud.client("demo")
    for action in ("os-start", "unpause", "resume"):
        answer = act(demo, server, action)
        assert answer.status_code == 409, action
        message = answer.json()["conflictingRequest"]["message"]
        name = action.removeprefix("os-")
        assert message == f"Cannot '{name}' instance {server} while it is in vm_state active"
    act(demo, server, "os-stop")
    cloud.settle()
    for action, body in (("pause", None), ("suspend", None), ("os-stop", None), ("reboot", {"type": "SOFT"})):
        assert act(demo, server, action, body).status_code == 409, action
    assert state(cloud, server) == ("stopped", None, 4, "stopped")


def test_one_task_at_a_time(still_cloud: TestCloud) -> None:
    """While a task is under way others are 409, but a hard reboot takes the place of a soft one."""
    server_id = rows.insert(still_cloud, task=None, task_state=None, vm_state="active", launched_at=_now(still_cloud))
    demo = still_cloud.client("demo")
    assert act(demo, server_id, "reboot", {"type": "SOFT"}).status_code == 202
    answer = act(demo, server_id, "pause")
    assert answer.status_code == 409
    assert "task_state rebooting" in answer.json()["conflictingRequest"]["message"]
    assert act(demo, server_id, "reboot", {"type": "SOFT"}).status_code == 409
    assert act(demo, server_id, "reboot", {"type": "HARD"}).status_code == 202
    row = rows.row(still_cloud, server_id)
    assert (row.task_state, row.task["hard"]) == ("rebooting_hard", True)


def _now(cloud: TestCloud) -> Any:
    return cloud.database.clock.now()


def test_a_locked_server_is_left_alone(cloud: TestCloud, server: str) -> None:
    """Its owner gets 409; an administrator may."""
    demo, admin = cloud.client("demo"), cloud.client("admin")
    assert act(demo, server, "lock").status_code == 202
    for action, body in (("os-stop", None), ("pause", None), ("reboot", {"type": "HARD"}), ("forceDelete", None)):
        answer = act(demo, server, action, body)
        assert answer.status_code == 409, action
        assert answer.json()["conflictingRequest"]["message"] == f"Instance {server} is locked"
    assert act(admin, server, "os-stop").status_code == 202
    cloud.settle()
    assert state(cloud, server)[0] == "stopped"
    assert act(demo, server, "unlock").status_code == 202
    assert act(demo, server, "os-start").status_code == 202


@pytest.mark.parametrize("body", [None, {}, {"type": "MEDIUM"}, {"type": 1}, {"type": "SOFT", "x": 1}, [], "SOFT"])
def test_a_reboot_needs_its_type(cloud: TestCloud, server: str, body: Any) -> None:
    """400 for what is no reboot."""
    assert act(cloud.client("demo"), server, "reboot", body).status_code == 400


def test_soft_reboot_falls_back_to_hard(cloud: TestCloud, server: str) -> None:
    """What cannot restart by itself is stopped and started."""
    cloud.machines["machine"].fail_next["reboot"] = SpecError("it has no init")
    assert act(cloud.client("demo"), server, "reboot", {"type": "SOFT"}).status_code == 202
    cloud.settle()
    assert state(cloud, server) == ("active", None, 1, "running")


def test_a_pause_that_fails_leaves_it_running(cloud: TestCloud, server: str) -> None:
    """The action is Error, the server stays as it was."""
    cloud.machines["machine"].fail_next["pause"] = SpecError("cgroups are frozen")
    assert act(cloud.client("demo"), server, "pause").status_code == 202
    cloud.settle()
    assert state(cloud, server) == ("active", None, 1, "running")
    failed = [event for event in rows.events(cloud, server) if event.event == "compute_pause_instance"]
    assert [event.result for event in failed] == ["Error"]


def test_a_host_error_is_tried_again(cloud: TestCloud, server: str) -> None:
    """It succeeds with the second try."""
    cloud.machines["machine"].fail_next["stop"] = HostError("not now")
    assert act(cloud.client("demo"), server, "os-stop").status_code == 202
    cloud.settle()
    assert state(cloud, server) == ("stopped", None, 4, "stopped")


def test_delete_takes_the_place_of_any_task(still_cloud: TestCloud) -> None:
    """A delete is accepted while anything is under way, and again while it is itself."""
    server_id = rows.insert(still_cloud)
    demo = still_cloud.client("demo")
    for _ in range(2):
        assert act(demo, server_id, "forceDelete").status_code == 202
    row = rows.row(still_cloud, server_id)
    assert (row.task["name"], row.task_state) == ("delete", "deleting")


def test_there_is_nothing_to_restore(cloud: TestCloud, server: str) -> None:
    """Servers are deleted at once: 409 for any other."""
    assert act(cloud.client("demo"), server, "restore").status_code == 409


def test_others_find_nothing(cloud: TestCloud, server: str) -> None:
    """404 for another project's server, and for one that is not there."""
    rows.change(cloud, server, mark=False, project_id="another")
    demo = cloud.client("demo")
    for action, body in (("os-stop", None), ("reboot", {"type": "SOFT"}), ("lock", None), ("forceDelete", None)):
        assert act(demo, server, action, body).status_code == 404
    assert act(demo, "00000000-0000-0000-0000-000000000000", "os-stop").status_code == 404
