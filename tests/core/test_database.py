"""Transactions that meet each other in one row all get through, each after a few attempts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from stackyard.core.db import FREE_ATTEMPTS, Database, Transaction

THREADS, CHANGES = 16, 400


def test_a_transaction_that_keeps_meeting_others_gets_its_turn(database_url: str) -> None:
    counters = sa.Table("counters", sa.MetaData(), sa.Column("value", sa.Integer))
    database = Database(database_url)
    counters.create(database.engine)
    database.write("first", lambda tx: tx.execute(counters.insert(), {"value": 0}))
    retries: list[int] = []
    database.observe = lambda name, seconds, count: retries.append(count)

    def count(tx: Transaction) -> None:
        value = tx.execute(sa.select(counters.c.value)).scalar_one()
        tx.execute(counters.update().values(value=value + 1))

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: database.write("count", count), range(CHANGES)))
        assert database.read("last", lambda tx: tx.execute(sa.select(counters.c.value)).scalar_one()) == CHANGES
    finally:
        counters.drop(database.engine)
        database.close()
    # Its free attempts, and then those that it may lose to transactions that were under way when its turn began.
    assert max(retries) <= FREE_ATTEMPTS + 3


def test_a_close_waits_for_what_another_thread_is_writing(tmp_path: Path) -> None:
    counters = sa.Table("counters", sa.MetaData(), sa.Column("value", sa.Integer))
    path = f"sqlite:///{tmp_path / 'closing.sqlite'}"
    database = Database(path)
    counters.create(database.engine)
    begun, told = threading.Event(), threading.Event()

    def slowly(tx: Transaction) -> None:
        begun.set()
        assert told.wait(10)
        tx.execute(counters.insert(), {"value": 1})

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(database.write, "slowly", slowly)
        assert begun.wait(10)
        closing = pool.submit(database.close)
        assert not wait([closing], timeout=0.2).done
        told.set()
        writing.result(10)
        closing.result(10)
    again = Database(path)
    assert again.read("what is there", lambda tx: tx.execute(sa.select(counters.c.value)).scalar_one()) == 1
    again.close()


def test_a_failed_transaction_leaves_the_threads_connection_usable(tmp_path: Path) -> None:
    counters = sa.Table("counters", sa.MetaData(), sa.Column("value", sa.Integer))
    database = Database(f"sqlite:///{tmp_path / 'failing.sqlite'}")
    counters.create(database.engine)

    def values(tx: Transaction) -> list[int]:
        return [row.value for row in tx.all(sa.select(counters))]

    def insert(tx: Transaction, *, fails: bool) -> list[int]:
        tx.execute(counters.insert(), {"value": 1})
        if fails:
            raise KeyError("on purpose")
        return database.read("beside", values)  # inside another transaction of this thread: what was before

    for _ in range(2):
        with pytest.raises(KeyError):
            database.write("fails", insert, fails=True)
        with pytest.raises(ValueError, match="none"):
            database.read("fails before it has read anything", lambda tx: int("none"))
        with pytest.raises(OperationalError):
            database.read("fails in the database", lambda tx: tx.peek("SELECT nothing FROM nowhere"))
        assert database.read("after", values) == []
    assert database.write("does not", insert, fails=False) == []
    assert database.read("last", values) == [1]
    database.close()
