"""Generations: every change of a table that names one is noticed, whoever makes it and however it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from stackyard.core.db import Database, Transaction, metadata
from stackyard.core.generation import Generation

NUTS = Generation("test_nuts", size=2)
nuts = sa.Table("test_nuts", metadata, sa.Column("id", sa.Integer, primary_key=True), info=NUTS.info)
bolts = sa.Table("test_bolts", metadata, sa.Column("id", sa.Integer, primary_key=True))


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    """The tables are this module's alone."""
    yield
    for table in (nuts, bolts, NUTS.table):
        metadata.remove(table)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the tables."""
    made = Database(database_url)
    metadata.create_all(made.engine, [nuts, bolts, NUTS.table])
    try:
        yield made
    finally:
        made.close()


def at(database: Database) -> int:
    return database.read("at", NUTS.current)


def insert(tx: Transaction, table: sa.Table, number: int) -> None:
    tx.execute(sa.insert(table), {"id": number})


def test_each_kind_of_change_bumps(database: Database) -> None:
    seen = [at(database)]
    assert seen == [0]
    changes = (
        sa.insert(nuts).values(id=1),
        sa.update(nuts).where(nuts.c.id == 1).values(id=2),
        sa.delete(nuts),
    )
    for statement in changes:
        database.write("change", lambda tx, statement=statement: tx.execute(statement))
        seen.append(at(database))
    assert len(set(seen)) == 4


def test_other_tables_and_reads_do_not(database: Database) -> None:
    database.write("one", insert, nuts, 1)
    before = at(database)
    database.write("other", insert, bolts, 1)
    database.write("read", lambda tx: tx.all(sa.select(nuts)))
    assert at(database) == before


def test_a_transaction_bumps_once(database: Database) -> None:
    seen: list[int] = []

    def change(tx: Transaction) -> None:
        for number in (1, 2):
            insert(tx, nuts, number)
            seen.append(NUTS.current(tx))

    database.write("change", change)
    assert seen[0] == seen[1] == at(database)


def test_what_is_rolled_back_did_not_happen(database: Database) -> None:
    database.write("one", insert, nuts, 1)
    before = at(database)

    def fail(tx: Transaction) -> None:
        insert(tx, nuts, 2)
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        database.write("fail", fail)
    assert at(database) == before


def test_a_part_that_was_rolled_back_does_not_hide_a_later_change(database: Database) -> None:
    database.write("one", insert, nuts, 1)
    before = at(database)

    def change(tx: Transaction) -> None:
        try:
            with tx.savepoint():
                insert(tx, nuts, 1)
        except IntegrityError:
            insert(tx, nuts, 2)

    database.write("change", change)
    assert at(database) != before


def test_a_transaction_sees_its_own_changes_and_what_is_left_of_them(database: Database) -> None:
    seen: list[int] = []

    def part(tx: Transaction) -> None:
        with tx.savepoint():
            insert(tx, nuts, 1)
            seen.append(NUTS.current(tx))
            raise KeyError("on purpose")

    def change(tx: Transaction) -> None:
        seen.append(NUTS.current(tx))
        with pytest.raises(KeyError):
            part(tx)
        seen.append(NUTS.current(tx))
        insert(tx, nuts, 1)
        seen.append(NUTS.current(tx))

    database.write("change", change)
    first, in_part, after_part, last = seen
    assert first == after_part
    assert len({first, in_part, last}) == 3
    assert at(database) == last


def test_two_processes_notice_each_other(database: Database, database_url: str) -> None:
    other = Database(database_url)
    try:
        database.write("one", insert, nuts, 1)
        assert at(other) == at(database)
        other.write("two", insert, nuts, 2)
        assert at(other) == at(database)
    finally:
        other.close()


def test_memories_are_a_databases_own(database: Database, database_url: str) -> None:
    other = Database(database_url)
    try:
        mine = database.read("memory", NUTS.memory)
        assert database.read("memory", NUTS.memory) is mine
        assert other.read("memory", NUTS.memory) is not mine
    finally:
        other.close()
