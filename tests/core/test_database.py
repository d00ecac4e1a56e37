"""Transactions that meet each other in one row all get through, each after a few attempts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

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
