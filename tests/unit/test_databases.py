"""The tests' own databases, of both kinds: each test finds none but its own writing in them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.postgres import PostgresServer


def _fill(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE thing (id INTEGER PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO thing VALUES (7)"))
    engine.dispose()


def _ids(url: str) -> list[int]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = list(connection.execute(sa.text("SELECT id FROM thing")).scalars())
    engine.dispose()
    return found


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_gets_an_empty_database(database_url: str, turn: str) -> None:
    del turn
    _fill(database_url)
    assert _ids(database_url) == [7]


def test_a_prepared_template_is_filled_once_and_copied(postgres_server: PostgresServer) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        _fill(url)

    names = {postgres_server.prepared("thing", prepare) for _ in range(2)}
    assert len(names) == len(prepared) == 1
    first, second = (postgres_server.create(names.copy().pop()) for _ in range(2))
    try:
        assert first != second
        assert _ids(first) == _ids(second) == [7]
    finally:
        postgres_server.drop(first)
        postgres_server.drop(second)
