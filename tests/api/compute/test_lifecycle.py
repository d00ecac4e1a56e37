"""What happens to servers by itself: they end, crash, vanish; hosts and clouds are restarted; requests cross."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.core.reconcile import waiting
from stackyard.host.errors import EngineUnavailableError, SpecError
from stackyard.host.specs import MachineImage, MachineSpec
from stackyard.services.compute import reconcile
from stackyard.services.compute.reconcile import server as reconciler
from stackyard.services.compute.reconcile.watch import WATCHER
from stackyard.services.compute.tables import instance_actions

ORPHAN = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def server(cloud: TestCloud) -> str:
    """A server of demo's that runs."""
    made = rows.insert(cloud)
    cloud.settle()
    assert rows.row(cloud, made).vm_state == "active"
    return made


def until(condition: Callable[[], bool]) -> None:
    """Wait for what events bring about in another thread."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.005)


def vm_state(cloud: TestCloud, server_id: str) -> str:
    """As written."""
    return str(rows.row(cloud, server_id).vm_state)


def start(cloud: TestCloud, server_id: str) -> int:
    """Ask for it; the status of the answer."""
    path = f"/compute/v2.1/servers/{server_id}/action"
    return cloud.client("demo").post(path, json={"os-start": None}).status_code


def actions(cloud: TestCloud, server_id: str) -> list[str]:
    """Names of its actions."""
    mine = instance_actions.select().where(instance_actions.c.server_id == server_id)
    return [row.action for row in cloud.database.read("actions", lambda tx: tx.all(mine))]


def test_a_crash_is_seen_at_once(cloud: TestCloud, server: str) -> None:
    """Stopped, with CRASHED as power state, and it can be started again."""
    cloud.machines["machine"].crash(server, "killed by signal 9")
    until(lambda: vm_state(cloud, server) == "stopped")
    row = rows.row(cloud, server)
    assert (row.power_state, row.power, row.fault) == (6, "stopped", None)
    assert "stop" in actions(cloud, server)
    assert start(cloud, server) == 202
    cloud.settle()
    assert (vm_state(cloud, server), rows.row(cloud, server).power_state) == ("active", 1)


def test_what_was_removed_behind_our_back_is_an_error(cloud: TestCloud, server: str) -> None:
    """ERROR with a fault that names the remedy; starting makes it anew, with its ports."""
    cloud.machines["machine"].lose(server)
    until(lambda: vm_state(cloud, server) == "error")
    row = rows.row(cloud, server)
    assert row.fault["code"] == 500
    assert "removed it" in row.fault["message"]
    assert row.power_state == 0
    assert start(cloud, server) == 202
    cloud.settle()
    seen = cloud.machines["machine"].inspect(server)
    assert seen is not None
    assert (seen.state, seen.ports) == ("running", (row.interfaces[0]["port"],))
    assert rows.row(cloud, server).fault is None


def test_what_was_removed_can_be_deleted(cloud: TestCloud, server: str) -> None:
    """Deleting is never in the way of anything."""
    cloud.machines["machine"].lose(server)
    until(lambda: vm_state(cloud, server) == "error")
    answer = cloud.client("demo").post(f"/compute/v2.1/servers/{server}/action", json={"forceDelete": None})
    assert answer.status_code == 202
    cloud.settle()
    assert vm_state(cloud, server) == "deleted"


def test_a_restarted_host_has_its_servers_running_again(cloud: TestCloud, server: str) -> None:
    """After a reboot of the host nothing runs; what shall run is started, what was stopped stays so."""
    other = rows.insert(cloud)
    cloud.settle()
    rows.change(cloud, other, task={"name": "stop"})
    cloud.settle()
    cloud.machines["machine"].stop(server, 0)
    for made in (server, other):
        rows.change(cloud, made, mark=False, boot_id="an earlier boot")
    reconcile.adopt(cloud.runtime)
    cloud.settle()
    assert {found.id: found.state for found in cloud.machines["machine"].list()} == {
        server: "running",
        other: "stopped",
    }
    assert (vm_state(cloud, server), vm_state(cloud, other)) == ("active", "stopped")


def test_adoption_changes_nothing(cloud: TestCloud, server: str) -> None:
    """When the cloud is started again over servers that run, not a byte of them is written."""
    before = rows.row(cloud, server)
    reconcile.adopt(cloud.runtime)
    cloud.settle()
    cloud.runtime[WATCHER].sync()
    cloud.settle()
    assert rows.row(cloud, server) == before


def test_the_comparison_finds_what_no_event_told(cloud: TestCloud, server: str) -> None:
    """It shut down, and nobody said so; and what no row wants is removed."""
    driver = cloud.machines["machine"]
    driver.stop(server, 0)
    image = MachineImage(rows.row(cloud, server).image_id, "raw", "bare")
    driver.define(MachineSpec(id=ORPHAN, name="orphan", kind="machine", image=image, memory=1, vcpus=1))
    driver.start(ORPHAN)
    cloud.runtime[WATCHER].sync()
    cloud.settle()
    assert vm_state(cloud, server) == "stopped"
    assert [found.id for found in driver.list()] == [server]


def test_a_server_that_is_being_built_is_no_orphan(still_cloud: TestCloud) -> None:
    """It has a row, and a task that looks after it."""
    server_id = rows.insert(still_cloud)
    driver = still_cloud.machines["machine"]
    driver.define(MachineSpec(id=server_id, name="one", kind="machine", image=None, memory=1, vcpus=1))
    still_cloud.runtime[WATCHER].sync()
    assert [found.id for found in driver.list()] == [server_id]


def test_a_driver_that_is_away_says_nothing_of_its_servers(
    cloud: TestCloud, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay as they are until it is back."""

    def away(*_: Any) -> Any:
        raise EngineUnavailableError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.machines["machine"], "inspect", away)
        patched.setattr(cloud.machines["machine"], "list", away)
        reconcile.adopt(cloud.runtime)
        cloud.runtime[WATCHER].sync()
        until(lambda: not any(cloud.runtime[reconciler.RECONCILER]._running))
    assert vm_state(cloud, server) == "active"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that wait for no task."""
    monkeypatch.setattr(reconciler, "PATIENCE", 0.05)
    monkeypatch.setattr(reconciler, "ASK_AGAIN", 0.02)
    return


@pytest.mark.usefixtures("impatient")
def test_a_delete_does_not_wait_for_an_orderly_stop(
    cloud: TestCloud, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that takes its time to end is ended when the server is deleted."""
    driver = cloud.machines["machine"]
    stop, ended, asked = driver.stop, threading.Event(), threading.Event()

    def slow(machine_id: str, timeout: float) -> None:
        if timeout:
            asked.set()
            assert ended.wait(20), "nobody interrupted it"
        ended.set()
        stop(machine_id, timeout)

    monkeypatch.setattr(driver, "stop", slow)
    rows.change(cloud, server, task={"name": "stop"}, task_state="powering-off")
    assert asked.wait(10)
    rows.change(cloud, server, task={"name": "delete"}, task_state="deleting", task_request_id="req-delete")
    cloud.settle()
    assert vm_state(cloud, server) == "deleted"
    assert list(driver.list()) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", [None, SpecError("it will not end")])
def test_a_request_right_after_a_slow_task_is_not_lost(
    cloud: TestCloud, server: str, monkeypatch: pytest.MonkeyPatch, error: SpecError | None
) -> None:
    """The task has ended, well or badly, nobody has asked after it yet, and the next one is asked for."""
    driver = cloud.machines["machine"]
    stop, free, asked = driver.stop, threading.Event(), threading.Event()

    def slow(machine_id: str, timeout: float) -> None:
        asked.set()
        assert free.wait(20)
        if error is not None:
            raise error
        stop(machine_id, timeout)

    monkeypatch.setattr(reconciler, "ASK_AGAIN", 0.4)
    with monkeypatch.context() as patched:
        patched.setattr(driver, "stop", slow)
        rows.change(cloud, server, task={"name": "stop"}, task_state="powering-off", task_request_id="req-stop")
        assert asked.wait(10)
        made = cloud.runtime[reconciler.RECONCILER]
        until(lambda: cloud.database.read("w", lambda tx: waiting(tx, server))[0]["owner"] is None)
        free.set()
        until(lambda: made._running[server].done() if server in made._running else True)
        rows.change(cloud, server, task={"name": "reboot", "hard": True}, task_request_id="req-reboot")
    cloud.settle()
    assert (vm_state(cloud, server), rows.row(cloud, server).task) == ("active", None)


@pytest.mark.usefixtures("impatient")
def test_slow_tasks_hold_up_nothing(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there are workers: a build is done meanwhile."""
    image = rows.image(cloud)
    slow = [rows.insert(cloud, image) for _ in range(9)]
    cloud.settle()
    driver = cloud.machines["machine"]
    stop, free = driver.stop, threading.Event()

    def wait(machine_id: str, timeout: float) -> None:
        assert free.wait(20)
        stop(machine_id, timeout)

    monkeypatch.setattr(driver, "stop", wait)
    try:
        for server_id in slow:
            rows.change(cloud, server_id, task={"name": "stop"})
        quick = rows.insert(cloud, image)
        until(lambda: vm_state(cloud, quick) == "active")
        assert {vm_state(cloud, server_id) for server_id in slow} == {"active"}
    finally:
        free.set()
    cloud.settle()
    assert {vm_state(cloud, server_id) for server_id in slow} == {"stopped"}


def test_the_deadline_of_a_build(still_cloud: TestCloud) -> None:
    """When trying is over: ERROR, with what failed, the limit, and the remedy."""
    server_id = rows.insert(still_cloud)
    made = still_cloud.runtime[reconciler.RECONCILER]
    made.expire(server_id, "no room for the disk (gave up after 12 attempts in 600 s)")
    row = rows.row(still_cloud, server_id)
    assert (row.vm_state, row.task) == ("error", None)
    for part in ("no room for the disk", "600 s", "Delete the server"):
        assert part in row.fault["message"]


def test_an_image_that_was_deleted(cloud: TestCloud) -> None:
    """A build without data is an ERROR that says so."""
    image = rows.image(cloud)
    assert cloud.client("admin").delete(f"/image/v2/images/{image}").status_code == 204
    server_id = rows.insert(cloud, image)
    cloud.settle()
    assert vm_state(cloud, server_id) == "error"
    assert image in rows.row(cloud, server_id).fault["message"]


def test_a_kind_that_no_driver_runs(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERROR naming the kind, and deletable."""
    monkeypatch.delitem(cloud.machines, "system")
    server_id = rows.insert(cloud, kind="system")
    cloud.settle()
    assert "kind system" in rows.row(cloud, server_id).fault["message"]
    rows.change(cloud, server_id, task={"name": "delete"})
    cloud.settle()
    assert vm_state(cloud, server_id) == "deleted"


def test_tidying_up_that_fails_still_ends_in_an_error(cloud: TestCloud) -> None:
    """The build fails, and so does removing what it made."""
    cloud.machines["machine"].fail_next |= {"define": SpecError("no"), "remove": SpecError("no, either")}
    server_id = rows.insert(cloud)
    cloud.settle()
    assert vm_state(cloud, server_id) == "error"


def test_stopping_what_is_gone_is_an_error(cloud: TestCloud, server: str) -> None:
    """A stop of a server that vanished says that it vanished."""
    cloud.machines["machine"].remove(server)
    rows.change(cloud, server, task={"name": "stop"})
    cloud.settle()
    assert "no such server" in rows.row(cloud, server).fault["message"]
