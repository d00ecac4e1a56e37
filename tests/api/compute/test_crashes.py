"""Killed at any instant, or failed at any step: the next try comes to the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.core.reconcile import DONE, GiveUp
from stackyard.host.errors import HostError
from stackyard.services.compute.reconcile import FAILURES, TASKS
from stackyard.services.compute.reconcile.server import ServerReconciler

METHODS = (
    "load_image", "place", "define", "start", "stop", "reboot", "pause", "unpause", "suspend", "remove", "inspect",
)  # fmt: skip


class Killed(BaseException):
    """The process ends here."""


class Instants:
    """Counts the instants before and after each call of the driver and each write, and ends at the wanted one."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.passed = 0

    def passes(self) -> None:
        """One instant."""
        self.passed += 1
        if self.passed == self.wanted:
            raise Killed

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, between two instants."""

        def called(*args: Any, **kwargs: Any) -> Any:
            self.passes()
            found = call(*args, **kwargs)
            self.passes()
            return found

        return called


@contextmanager
def killed_at(cloud: TestCloud, wanted: int, patch: pytest.MonkeyPatch) -> Iterator[Instants]:
    """While the block runs, the process ends at this instant of its work."""
    instants = Instants(wanted)
    with patch.context() as patched:
        driver = cloud.machines["machine"]
        for method in METHODS:
            patched.setattr(driver, method, instants.around(getattr(driver, method)))
        patched.setattr(cloud.network, "apply_port", instants.around(cloud.network.apply_port))
        patched.setattr(cloud.database, "write", instants.around(cloud.database.write))
        yield instants


def run(cloud: TestCloud, server_id: str) -> None:
    """What a process that has just been started does with a server, until it is done."""
    reconciler = ServerReconciler(cloud.runtime, TASKS, FAILURES)
    for _ in range(10):
        try:
            if reconciler.reconcile(server_id) == DONE:
                return
        except HostError:
            continue
        except GiveUp as error:
            reconciler.expire(server_id, str(error))
            return
    raise AssertionError("it never ends")


def seen(cloud: TestCloud, server_id: str) -> tuple[Any, ...]:
    """All that matters of a server."""
    row = rows.row(cloud, server_id)
    found = cloud.machines["machine"].inspect(server_id)
    ports = tuple(interface["port"] in cloud.network.ports for interface in row.interfaces)
    there = None if found is None else (found.state, found.ports)
    return row.vm_state, row.task_state, row.task, row.power_state, row.fault, there, ports


CASES: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"name": "build"}, ("active", 1, "running")),
    ({"name": "stop"}, ("stopped", 4, "stopped")),
    ({"name": "reboot", "hard": True}, ("active", 1, "running")),
    ({"name": "reboot", "hard": False}, ("active", 1, "running")),
    ({"name": "pause"}, ("paused", 3, "paused")),
    ({"name": "suspend"}, ("suspended", 4, "suspended")),
    ({"name": "delete"}, ("deleted", 0, None)),
]
UNDONE: list[tuple[str, dict[str, Any]]] = [
    ("stop", {"name": "start"}),
    ("pause", {"name": "unpause"}),
    ("suspend", {"name": "resume"}),
]


def prepared(cloud: TestCloud, image_id: str, task: dict[str, Any], first: str | None = None) -> str:
    """A server that is to do a task: built before, unless building is the task."""
    server_id = rows.insert(cloud, image_id, mark=False)
    for name in ([] if task["name"] == "build" else ["build"]) + ([first] if first else []):
        rows.change(cloud, server_id, mark=False, task={"name": name})
        run(cloud, server_id)
    rows.change(cloud, server_id, mark=False, task=task, task_state="working")
    return server_id


def check(cloud: TestCloud, server_id: str, expected: tuple[Any, ...]) -> None:
    """The end that is expected, with the port wired as long as the server is there."""
    vm_state, task_state, task, power_state, fault, there, ports = seen(cloud, server_id)
    assert (vm_state, power_state, None if there is None else there[0]) == expected
    assert (task_state, task, fault) == (None, None, None)
    row = rows.row(cloud, server_id)
    if vm_state != "deleted":
        assert ports == (True,)
        assert there[1] == tuple(interface["port"] for interface in row.interfaces)
    events = [event for event in rows.events(cloud, server_id) if event.finished_at is None]
    assert events == []


@pytest.mark.parametrize(("task", "expected"), CASES, ids=str)
def test_killed_at_any_instant(
    still_cloud: TestCloud, monkeypatch: pytest.MonkeyPatch, task: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """After each instant the next process finishes the task."""
    image_id = rows.image(still_cloud)
    for instant in range(1, 100):
        server_id = prepared(still_cloud, image_id, task)
        try:
            with killed_at(still_cloud, instant, monkeypatch):
                run(still_cloud, server_id)
        except Killed:
            run(still_cloud, server_id)
            check(still_cloud, server_id, expected)
        else:
            assert instant > 4  # each task has some
            return
    raise AssertionError("no run came to its end")


@pytest.mark.parametrize(("first", "task"), UNDONE, ids=str)
def test_killed_while_it_is_undone(
    still_cloud: TestCloud, monkeypatch: pytest.MonkeyPatch, first: str, task: dict[str, Any]
) -> None:
    """The same of start, unpause and resume."""
    image_id = rows.image(still_cloud)
    for instant in range(1, 100):
        server_id = prepared(still_cloud, image_id, task, first)
        try:
            with killed_at(still_cloud, instant, monkeypatch):
                run(still_cloud, server_id)
        except Killed:
            run(still_cloud, server_id)
            check(still_cloud, server_id, ("active", 1, "running"))
        else:
            return
    raise AssertionError("no run came to its end")


CALLS = [
    (task, expected, method)
    for (task, expected), methods in zip(
        CASES,
        (
            ("load_image", "define", "start"),
            ("stop",),
            ("stop", "start"),
            ("reboot",),
            ("pause",),
            ("suspend",),
            ("remove",),
        ),
        strict=True,
    )
    for method in ("inspect", *methods)
]


@pytest.mark.parametrize(("task", "expected", "method"), CALLS, ids=str)
def test_failed_at_any_call(
    still_cloud: TestCloud, task: dict[str, Any], expected: tuple[Any, ...], method: str
) -> None:
    """An error that may pass is got over."""
    server_id = prepared(still_cloud, rows.image(still_cloud), task)
    still_cloud.machines["machine"].fail_next[method] = HostError(f"no {method} now")
    run(still_cloud, server_id)
    assert still_cloud.machines["machine"].fail_next.keys() <= {"inspect"}
    still_cloud.machines["machine"].fail_next.clear()
    check(still_cloud, server_id, expected)


def test_a_delete_while_it_is_built(still_cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever builds notices at his next write, and the next look deletes all that he made."""
    server_id = prepared(still_cloud, rows.image(still_cloud), {"name": "build"})
    driver = still_cloud.machines["machine"]
    start = driver.start

    def start_and_lose(machine_id: str) -> None:
        start(machine_id)
        rows.change(still_cloud, machine_id, mark=False, task={"name": "delete"}, task_state="deleting")

    monkeypatch.setattr(driver, "start", start_and_lose)
    run(still_cloud, server_id)
    check(still_cloud, server_id, ("deleted", 0, None))


def test_another_request_does_not_disturb_a_task(still_cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new name while it is built: one build, and the name stays."""
    server_id = prepared(still_cloud, rows.image(still_cloud), {"name": "build"})
    driver = still_cloud.machines["machine"]
    starts: list[str] = []
    start = driver.start

    def start_and_rename(machine_id: str) -> None:
        starts.append(machine_id)
        start(machine_id)
        rows.change(still_cloud, machine_id, mark=False, name="renamed")

    monkeypatch.setattr(driver, "start", start_and_rename)
    run(still_cloud, server_id)
    check(still_cloud, server_id, ("active", 1, "running"))
    assert starts == [server_id]
    assert rows.row(still_cloud, server_id).name == "renamed"
