"""Several processes on one PostgreSQL: each does its own host's work, wakes for it at once, and waits for no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stackyard.core import facts, reconcile, timeline
from stackyard.core.db import Database, Transaction
from stackyard.core.reconcile import DONE, Outcome, ReconcileEngine, kind_of, kind_on

WAIT = 10.0


class Host:
    """One process with its engine; `woken` says when it was given its latest work."""

    deadline = 60.0

    def __init__(self, url: str, name: str) -> None:
        self.database = Database(url)
        self.kind = kind_on("thing", name)
        self.runs: list[str] = []
        self.woken = 0.0
        self.changed = threading.Condition()
        self.engine = ReconcileEngine(self.database, [self], workers=2)

    def reconcile(self, resource_id: str) -> Outcome:
        with self.changed:
            self.runs.append(resource_id)
            self.woken = time.monotonic()
            self.changed.notify_all()
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        raise AssertionError(f"{resource_id}: {reason}")

    def mark(self, host: str, resource_id: str) -> None:
        self.database.write("mark", reconcile.mark, kind_on("thing", host), resource_id)

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.runs) >= count, WAIT), self.runs

    def queue(self) -> list[Any]:
        return self.database.read("queue", lambda tx: [row._asdict() for row in tx.all(reconcile.work.select())])

    def close(self) -> None:
        self.engine.stop()
        self.database.close()


@pytest.fixture
def hosts(postgres_url: str) -> Iterator[tuple[Host, Host]]:
    one, two = Host(postgres_url, "one"), Host(postgres_url, "two")
    timeline.metadata.create_all(one.database.engine, tables=[timeline.timeline, reconcile.work, facts.facts])
    yield one, two
    one.close()
    two.close()


def test_a_mark_wakes_the_process_that_it_is_for_at_once(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    one.engine.start()
    two.engine.start()
    one.mark("two", "first")
    two.wait(1)  # both have looked for work by now, and found none: from here on only a notification wakes them
    for number in range(2, 7):
        marked = time.monotonic()
        one.mark("two", f"id-{number}")
        two.wait(number)
        assert two.woken - marked < 0.5, "woken by looking from time to time, and not by being told"
    assert one.runs == []


def test_the_work_of_a_host_that_is_gone_waits_for_it_and_keeps_nobody_else_waiting(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    one.engine.start()
    for number in range(20):
        one.mark("two", f"id-{number}")
    one.mark("one", "own")
    one.wait(1)
    assert one.runs == ["own"]
    two.engine.start()
    two.wait(20)
    assert sorted(set(two.runs)) == sorted(f"id-{number}" for number in range(20))


def test_a_killed_process_that_comes_back_does_not_wait_for_its_own_lease(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    one.mark("two", "held")

    def hold(tx: Transaction) -> None:
        tx.execute(reconcile.work.update().values(owner="killed", lease_until=time.time() + 3600))

    one.database.write("hold", hold)
    two.engine.start()
    two.wait(1)
    assert two.runs == ["held"]


def test_a_connection_that_breaks_is_made_anew(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    two.engine.start()
    one.mark("two", "first")
    two.wait(1)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
    one.database.write("cut", lambda tx: tx.connection.exec_driver_sql(cut))
    one.mark("two", "second")
    two.wait(2)


@pytest.mark.parametrize("host", ["one", "h" * 253])
def test_the_kind_of_a_host_fits_and_says_what_it_is_of(host: str) -> None:
    kind = kind_on("security_group", host)
    assert len(kind) <= 64
    assert kind_of(kind) == "security_group"
    assert kind != kind_on("security_group", host + "x")
