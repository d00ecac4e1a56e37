"""The reconcile engine: nothing marked is lost, doubled, or tried for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stackyard.core import facts, reconcile, timeline
from stackyard.core.db import Database, Transaction
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome, ReconcileEngine

WAIT = 10.0


class Scripted:
    """A reconciler that does what a test says, and remembers."""

    kind = "thing"

    def __init__(self, act: Callable[[str], Outcome], deadline: float = 60) -> None:
        self.deadline = deadline
        self.act = act
        self.runs: list[str] = []
        self.expired: list[tuple[str, str]] = []
        self.changed = threading.Condition()

    def reconcile(self, resource_id: str) -> Outcome:
        with self.changed:
            self.runs.append(resource_id)
            self.changed.notify_all()
        return self.act(resource_id)

    def expire(self, resource_id: str, reason: str) -> None:
        with self.changed:
            self.expired.append((resource_id, reason))
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT), (self.runs, self.expired)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    timeline.metadata.create_all(made.engine, tables=[timeline.timeline, reconcile.work, facts.facts])
    yield made
    made.close()


@pytest.fixture
def run(database: Database) -> Iterator[Callable[[Scripted], ReconcileEngine]]:
    engines: list[ReconcileEngine] = []

    def start(reconciler: Scripted) -> ReconcileEngine:
        engine = ReconcileEngine(database, [reconciler], workers=3)
        engines.append(engine)
        engine.start()
        return engine

    yield start
    for engine in engines:
        engine.stop()


def mark(database: Database, resource_id: str = "a") -> None:
    database.write("mark", reconcile.mark, "thing", resource_id)


def queued(database: Database) -> list[Any]:
    return database.read("queued", lambda tx: [row._asdict() for row in tx.all(reconcile.work.select())])


def empty(database: Database) -> bool:
    for _ in range(1000):
        if not queued(database):
            return True
        threading.Event().wait(0.005)
    return False


def test_a_mark_is_worked_on_and_goes(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    reconciler = Scripted(lambda _: DONE)
    run(reconciler)
    for name in "abcdefghij":
        mark(database, name)
    assert empty(database)
    assert sorted(set(reconciler.runs)) == list("abcdefghij")


def test_marks_from_before_the_start_are_found(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    mark(database)
    reconciler = Scripted(lambda _: DONE)
    run(reconciler)
    reconciler.wait(lambda: reconciler.runs == ["a"])


def test_a_failure_is_tried_again_and_written_down(
    database: Database, run: Callable[[Scripted], ReconcileEngine]
) -> None:
    def act(_: str) -> Outcome:
        if len(reconciler.runs) < 3:
            raise RuntimeError("the disk is full")
        return DONE

    reconciler = Scripted(act)
    run(reconciler)
    mark(database)
    reconciler.wait(lambda: len(reconciler.runs) == 3)
    assert empty(database)
    events = [(row.event, row.detail) for row in database.read("events", timeline.read, "a")]
    assert events == [("attempt failed", "the disk is full")] * 2


def test_a_deadline_ends_trying_with_the_reason(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    def act(_: str) -> Outcome:
        raise RuntimeError("no answer")

    reconciler = Scripted(act, deadline=0.5)
    run(reconciler)
    mark(database)
    reconciler.wait(lambda: len(reconciler.expired) == 1)
    assert "no answer (gave up after" in reconciler.expired[0][1]
    assert empty(database)


def test_giving_up_is_at_once(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    def act(_: str) -> Outcome:
        raise GiveUp("there is no such command")

    reconciler = Scripted(act)
    run(reconciler)
    mark(database)
    reconciler.wait(lambda: reconciler.expired == [("a", "there is no such command")])
    assert len(reconciler.runs) == 1


def test_again_is_no_failure(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    reconciler = Scripted(lambda _: DONE if len(reconciler.runs) > 2 else Again(0.01))
    run(reconciler)
    mark(database)
    assert empty(database)
    assert database.read("events", timeline.read, "a") == []


def test_a_mark_made_during_a_run_is_run_again(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def act(_: str) -> Outcome:
        entered.set()
        assert go_on.wait(WAIT)
        return DONE

    reconciler = Scripted(act)
    run(reconciler)
    mark(database)
    assert entered.wait(WAIT)
    mark(database)
    go_on.set()
    reconciler.wait(lambda: len(reconciler.runs) == 2)
    assert empty(database)


def test_one_resource_is_never_worked_on_twice_at_once(
    database: Database, run: Callable[[Scripted], ReconcileEngine]
) -> None:
    inside: list[str] = []
    doubled: list[str] = []
    lock = threading.Lock()

    def act(resource_id: str) -> Outcome:
        with lock:
            if resource_id in inside:
                doubled.append(resource_id)
            inside.append(resource_id)
        threading.Event().wait(0.005)
        with lock:
            inside.remove(resource_id)
        return DONE

    reconciler = Scripted(act)
    run(reconciler)
    for _ in range(30):
        mark(database, "a")
        mark(database, "b")
    assert empty(database)
    assert doubled == []


def test_a_rolled_back_mark_never_was(database: Database, run: Callable[[Scripted], ReconcileEngine]) -> None:
    def fail(tx: Transaction) -> None:
        reconcile.mark(tx, "thing", "a")
        raise LookupError

    reconciler = Scripted(lambda _: DONE)
    run(reconciler)
    with pytest.raises(LookupError):
        database.write("fail", fail)
    mark(database, "b")
    assert empty(database)
    assert set(reconciler.runs) == {"b"}


def test_pauses_double_up_to_a_minute_with_jitter() -> None:
    assert [reconcile.pause(n, 1.0) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert reconcile.pause(50, 0.0) == 30.0
    assert reconcile.pause(50, 1.0) == 60.0
