"""Lists: any filter, sort and page size gives every row once, in order, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from stackyard.core.call import Query
from stackyard.core.db import Database, Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Filter, Listing, Page, Scope, boolean

things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(32), nullable=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
)
listing = Listing(
    things,
    {"name": Filter(things.c.name), "shared": Filter(things.c.shared, boolean)},
    sort_keys=("name", "size"),
    default_sort=(("size", "desc"),),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    things.create(made.engine)
    draw = random.Random(7)
    rows = [
        {"id": f"{n:04}", "name": draw.choice([None, "a", "b", "c"]), "size": draw.randrange(4), "shared": n % 2 == 0}
        for n in range(57)
    ]
    made.write("fill", lambda tx: tx.execute(sa.insert(things), rows))
    yield made
    made.close()


def page(database: Database, scope: Scope | None = None, **query: Any) -> Page:
    def read(tx: Transaction) -> Page:
        return listing.page(tx, Query(urlencode(query, doseq=True)), *([scope] if scope else []))

    return database.read("page", read)


def walk(database: Database, **query: Any) -> list[str]:
    found: list[str] = []
    marker: str | None = None
    while True:
        got = page(database, **query, **({"marker": marker} if marker else {}))
        found += [row.id for row in got.rows]
        marker = got.marker
        if marker is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
@pytest.mark.parametrize(
    "sort",
    [
        {},
        {"sort_key": "name"},
        {"sort_key": "name", "sort_dir": "desc"},
        {"sort": "size:asc,name:desc"},
        {"sort_key": ["name", "size"], "sort_dir": ["desc", "asc"]},
    ],
)
def test_pages_together_are_the_whole_list(database: Database, limit: int, sort: dict[str, Any]) -> None:
    whole = [row.id for row in page(database, **sort).rows]
    assert len(whole) == 57
    assert walk(database, limit=limit, **sort) == whole


def test_order_has_nothing_first_when_ascending(database: Database) -> None:
    names = [row.name for row in page(database, sort_key="name").rows]
    assert names == sorted(names, key=lambda name: (name is not None, name or ""))


def test_filters_take_several_values_and_types(database: Database) -> None:
    rows = page(database, name=["a", "b"], shared="false").rows
    assert rows
    assert all(row.name in ("a", "b") and not row.shared for row in rows)


def test_scope_limits_what_is_seen(database: Database) -> None:
    scope = Scope("small", things.c.size < sa.bindparam("most"), {"most": 1})
    assert {row.size for row in page(database, scope).rows} == {0}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "x"},
        {"marker": "nowhere"},
        {"sort_key": "password"},
        {"sort_key": "name", "sort_dir": "up"},
        {"shared": "maybe"},
    ],
)
def test_wrong_parameters_are_refused(database: Database, query: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        page(database, **query)
