"""Quotas count right under concurrency, and take nothing when refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stackyard.core import quota
from stackyard.core.db import Database, Transaction
from stackyard.core.errors import OverQuota


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    quota.metadata.create_all(made.engine, tables=[quota.usages, quota.limits])
    yield made
    made.close()


quotas = quota.Quotas({"network.port": 5, "network.network": 2})


def in_use(database: Database, resource: str) -> int:
    return database.read("in use", quotas.in_use, "p", resource)


def test_many_at_once_never_pass_the_limit(database: Database) -> None:
    def take(_: int) -> bool:
        try:
            database.write("take", quotas.reserve, "p", {"network.port": 1})
        except OverQuota:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(20)))
    assert taken.count(True) == 5
    assert in_use(database, "network.port") == 5


def test_a_refused_reservation_takes_nothing(database: Database) -> None:
    database.write("take", quotas.reserve, "p", {"network.network": 2})
    with pytest.raises(OverQuota, match="network: limit 2, in use 2, asked for 1"):
        database.write("take", quotas.reserve, "p", {"network.port": 1, "network.network": 1})
    assert in_use(database, "network.port") == 0
    assert in_use(database, "network.network") == 2


def test_release_gives_back_even_past_a_lowered_limit(database: Database) -> None:
    def lower(tx: Transaction) -> None:
        quotas.reserve(tx, "p", {"network.port": 4})
        quotas.set_limit(tx, "p", "network.port", 1)
        quotas.release(tx, "p", {"network.port": 1})

    database.write("lower", lower)
    assert in_use(database, "network.port") == 3


def test_a_projects_own_limit_goes_before_the_default(database: Database) -> None:
    database.write("limit", quotas.set_limit, "p", "network.port", -1)
    database.write("take", quotas.reserve, "p", {"network.port": 100})
    database.write("limit", quotas.clear_limit, "p", "network.port")
    assert database.read("limit", quotas.limit, "p", "network.port") == 5
