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


def test_a_config_drive_is_made_with_it(cloud: TestCloud) -> None:
    """Its files are told to the host."""
    server_id = rows.insert(cloud, config_drive=True)
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "active"
    drive = cloud.machines["machine"].spec(server_id).config_drive
    assert drive is not None
    assert "openstack/latest/meta_data.json" in drive


def test_files_of_the_user_reach_a_machine_on_a_drive(cloud: TestCloud) -> None:
    """Also when no config drive was asked for: there is no other way."""
    server_id = rows.insert(cloud, personality=[{"path": "/etc/motd", "contents": "aGVsbG8="}])
    cloud.settle()
    drive = cloud.machines["machine"].spec(server_id).config_drive
    assert drive is not None
    assert drive["openstack/content/0000"] == b"hello"


def test_kernel_and_ramdisk_are_loaded_too(cloud: TestCloud) -> None:
    """They are images of their own; without one of them it cannot be built."""
    kernel, disk = rows.image(cloud, b"kernel"), rows.image(cloud)
    formats = {"disk_format": "ami", "container_format": "ami", "size": 1024, "properties": {}}
    server_id = rows.insert(cloud, disk, image=formats | {"kernel_id": kernel})
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "active"
    assert {kernel, disk} <= cloud.machines["machine"]._images
    missing = "22222222-2222-2222-2222-222222222222"
    server_id = rows.insert(cloud, disk, image=formats | {"ramdisk_id": missing})
    cloud.settle()
    row = rows.row(cloud, server_id)
    assert row.vm_state == "error"
    assert missing in row.fault["message"]


def test_one_that_was_deleted_softly_is_restored(cloud: TestCloud) -> None:
    """It runs again."""
    server_id = rows.insert(cloud)
    cloud.settle()
    rows.change(cloud, server_id, vm_state="soft-delete", power="stopped")
    cloud.settle()
    seen = cloud.machines["machine"].inspect(server_id)
    assert seen is not None
    assert seen.state == "stopped"
    path = f"/compute/v2.1/servers/{server_id}/action"
    assert cloud.client("demo").post(path, json={"restore": None}).status_code == 202
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "active"
