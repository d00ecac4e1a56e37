"""The tests' own databases, of both kinds: each test finds none but its own writing in them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests import pooled
from tests.pooled import Pool
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


def _make_little(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE of (id SERIAL PRIMARY KEY, parent INTEGER REFERENCES of, name TEXT)"))
        connection.execute(sa.text("INSERT INTO of (parent, name) VALUES (NULL, 'one'), (1, 'two')"))
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1",
        "UPDATE of SET name = 'other'",
        "DELETE FROM of",
        "INSERT INTO of (name) VALUES ('more')",
        "WITH gone AS (DELETE FROM of WHERE id = 2) INSERT INTO of (id, name) VALUES (3, 'instead')",
    ],
)
def test_what_a_test_has_changed_is_put_back(postgres_pool: Pool, change: str) -> None:
    rows = sa.text("SELECT id, parent, name FROM of ORDER BY id")
    for _ in range(2):
        with postgres_pool.lend() as url:
            pooled.find(url).take("little", lambda url=url: _make_little(url))  # type: ignore[misc]
            database = pooled.SharedDatabase(url)
            with database.engine.begin() as connection:
                assert connection.execute(rows).all() == [(1, None, "one"), (2, 1, "two")]
                connection.execute(sa.text(change))
                assert connection.execute(sa.text("SELECT nextval('of_id_seq')")).scalar() in (3, 4)
        with pytest.raises(RuntimeError, match="has ended"):
            database.read("late", lambda tx: tx.scalar(rows))


def test_another_shape_of_a_database_leaves_the_first_ones_connections_usable(postgres_pool: Pool) -> None:
    for schema in ("one", "other", "one"):
        with postgres_pool.lend() as url:
            pooled.find(url).take(schema, lambda url=url: _make_little(url))  # type: ignore[misc]
            with pooled.SharedDatabase(url).engine.begin() as connection:
                assert connection.execute(sa.text("SELECT count(*) FROM of")).scalar() == 2


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
