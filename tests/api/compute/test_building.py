"""Building and deleting servers: what the reconciler makes of rows."""

from __future__ import annotations

from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError


def test_build_runs_the_machine_and_says_so(cloud: TestCloud) -> None:
    """The machine runs with its port wired; the row, the action and its event tell it."""
    server_id = rows.insert(cloud)
    cloud.settle()
    row = rows.row(cloud, server_id)
    assert (row.vm_state, row.task_state, row.task, row.power_state) == ("active", None, None, 1)
    assert row.launched_at is not None
    assert row.boot_id
    seen = cloud.machines["machine"].inspect(server_id)
    assert seen is not None
    assert seen.state == "running"
    port = row.interfaces[0]["port"]
    assert seen.ports == (port,)
    assert cloud.network.ports[port].kind == "tap"
    (event,) = rows.events(cloud, server_id)
    assert (event.event, event.result) == ("compute__do_build_instance", "Success")


def test_delete_leaves_nothing(cloud: TestCloud) -> None:
    """Machine, port and wire are gone; the row stays, deleted."""
    server_id = rows.insert(cloud)
    cloud.settle()
    port = rows.row(cloud, server_id).interfaces[0]["port"]
    rows.change(cloud, server_id, task={"name": "delete"}, task_state="deleting")
    cloud.settle()
    row = rows.row(cloud, server_id)
    assert (row.vm_state, row.task) == ("deleted", None)
    assert row.deleted_at is not None
    assert row.terminated_at is not None
    assert cloud.machines["machine"].list() == []
    assert port not in cloud.network.ports


def test_a_build_that_can_never_succeed_is_an_error_with_a_fault(cloud: TestCloud) -> None:
    """SpecError: ERROR at once, nothing is left on the host, and it can be deleted."""
    cloud.machines["machine"].fail_next["define"] = SpecError("no such bus: floppy")
    server_id = rows.insert(cloud)
    cloud.settle()
    row = rows.row(cloud, server_id)
    assert (row.vm_state, row.task, row.task_state) == ("error", None, None)
    assert row.fault["code"] == 500
    assert "no such bus: floppy" in row.fault["message"]
    (event,) = rows.events(cloud, server_id)
    assert event.result == "Error"
    assert cloud.machines["machine"].list() == []
    rows.change(cloud, server_id, task={"name": "delete"}, task_state="deleting")
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "deleted"


def test_what_may_succeed_later_is_tried_again(cloud: TestCloud) -> None:
    """HostError: the next try succeeds."""
    cloud.machines["machine"].fail_next["start"] = HostError("no memory now")
    server_id = rows.insert(cloud)
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "active"
