"""PostgreSQL databases that one test after another uses: putting back the rows that a test has changed takes a tenth of
the time that a new database does, and connections last.

A database has a schema for each shape that tests ask for: `public` is empty, others hold a cloud's tables, empty or
seeded. A test gets the one that it asks for, and after the test every table is as it was. What has changed is told by
the rows' `xmin`, the transaction that wrote them, and by how many rows there are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from stackyard.core.db import Database

EMPTY = "public"
NAME = "pooled"
"""What connections that outlast a test call themselves."""

VACUUM_EACH = 25
"""Tests between two removals of the rows that are dead."""


@dataclass(slots=True)
class Table:
    """A table of a shape, how many rows it has before a test, and where these are kept."""

    name: str
    rows: int
    saved: str


class Shape:
    """A schema as each test finds it."""

    def __init__(self, schema: str, connection: psycopg.Connection[Any]) -> None:
        self.schema = schema
        self.engine: sa.Engine | None = None
        self._connection = connection
        self._dead: set[str] = set()
        self._tests = 0
        self._tables = [self._table(name) for name in _tables(connection, schema)]
        self._sequences = dict(self._sequence_values())
        for table in self._tables:
            if table.rows:
                connection.execute(_sql(f"CREATE TABLE {table.saved} AS TABLE {table.name}"))
        self._since = self._newest()
        self._changed = _sql(
            " UNION ALL ".join(
                f"SELECT {index} FROM {table.name}"
                f" HAVING count(*) <> {table.rows} OR max(xmin::text::bigint) > %(since)s::bigint"
                for index, table in enumerate(self._tables)
            )
        )

    def _table(self, name: str) -> Table:
        full = f'{self.schema}."{name}"'
        rows = _value(self._connection, f"SELECT count(*) FROM {full}")
        return Table(full, int(rows), f'saved."{self.schema}_{name}"')

    def _newest(self) -> int:
        return int(_value(self._connection, "SELECT pg_current_xact_id()::xid::text"))

    def _sequence_values(self) -> list[Any]:
        text = "SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = %s"
        return self._connection.execute(text, (self.schema,)).fetchall()

    def restore(self) -> None:
        """Have every table be as it was; nobody else is connected, or all who are are idle."""
        rows = self._connection.execute(self._changed, {"since": self._since}, prepare=True).fetchall()
        changed = [self._tables[index] for (index,) in rows]
        statements = [
            f"SELECT setval('{self.schema}.{name}', {max(1, self._sequences[name])}, {bool(self._sequences[name])})"
            for name, value in self._sequence_values()
            if value != self._sequences[name]
        ]
        for table in changed:
            statements.append(f"DELETE FROM {table.name}")
            if table.rows:
                statements.append(f"INSERT INTO {table.name} TABLE {table.saved}")
        if not statements:
            return
        self._connection.execute(_sql(f"BEGIN; {'; '.join(statements)}; COMMIT"))
        self._since = self._newest()
        self._dead |= {table.name for table in changed}
        self._tests += 1
        if self._tests % VACUUM_EACH == 0 and self._dead:
            self._connection.execute(_sql(f"VACUUM {', '.join(sorted(self._dead))}"))
            self._dead.clear()


class PooledDatabase:
    """A database that is lent to one test after another."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        connection = psycopg.connect(
            host=str(self.url.query["host"]), user=self.url.username, dbname=self.url.database, autocommit=True
        )
        self._connection = connection
        self._shapes: dict[str, Shape] = {}
        self._schema = EMPTY
        self._databases: list[weakref.ref[SharedDatabase]] = []
        connection.execute("CREATE SCHEMA saved")
        connection.execute("SET session_replication_role = replica")  # rows are put back in any order
        connection.execute("SET client_min_messages = warning")
        connection.execute("SET plan_cache_mode = force_generic_plan")  # what looks at all tables is planned once

    @property
    def engine(self) -> sa.Engine | None:
        """The engine that all clouds of today's shape share; None when it is yet to be made."""
        return self._shapes[self._schema].engine if self.is_shaped else None

    def keep(self, engine: sa.Engine) -> None:
        """Have an engine be that of all clouds of today's shape, of which there must be one."""
        sa.event.listen(engine, "do_connect", _name)
        self._shapes[self._schema].engine = engine

    @property
    def is_shaped(self) -> bool:
        """Whether today's shape is one that comes again."""
        return self._schema in self._shapes

    def watch(self, database: SharedDatabase) -> None:
        """Have `database` be of use to nobody when the test has ended."""
        self._databases.append(weakref.ref(database))

    def is_untouched(self) -> bool:
        """Whether it is empty, as the test got it."""
        return self._schema == EMPTY and not _tables(self._connection, EMPTY)

    def take(self, schema: str, make: Callable[[], None]) -> None:
        """Have an untouched database be of a shape, which `make` makes in it the first time."""
        self._use(schema)
        if schema not in self._shapes:
            self._connection.execute(_sql(f"CREATE SCHEMA {schema}"))
            make()
            self._end_others(everyone=True)
            self._dispose()
            self._shapes[schema] = Shape(schema, self._connection)

    def _use(self, schema: str) -> None:
        if schema != self._schema:
            # In a block, for at a bare ALTER psycopg lets all prepared statements go.
            self._connection.execute(
                _sql(f"DO $$ BEGIN ALTER DATABASE {self.url.database} SET search_path = {schema}; END $$")
            )
            self._schema = schema

    def give_back(self) -> None:
        """The test has ended: nothing of it goes on, nothing that it wrote stays, and the next one finds it empty."""
        for database in self._databases:
            if (found := database()) is not None:
                found.end()
        self._databases.clear()
        engine = self.engine
        if self._end_others() and engine is not None:
            engine.dispose()  # one that lasts was still at work: its pool would give it to the next test
        if self.is_shaped:
            self._shapes[self._schema].restore()
        elif _tables(self._connection, self._schema):
            self._connection.execute(_sql(f"DROP SCHEMA {self._schema} CASCADE; CREATE SCHEMA {self._schema}"))
        self._use(EMPTY)

    def _end_others(self, *, everyone: bool = False) -> bool:
        """Whether one was ended that is of those which last: when it was at work, or `everyone` is to go."""
        text = (
            "SELECT application_name, pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND (application_name <> %s OR state <> 'idle')"
        )
        rows = self._connection.execute(text, ("" if everyone else NAME,)).fetchall()
        return any(name == NAME for name, _ in rows)

    def _dispose(self) -> None:
        """Close the connections of each shape's engine, which makes new ones when it is asked again."""
        for shape in self._shapes.values():
            if shape.engine is not None:
                shape.engine.dispose()

    def close(self) -> None:
        """Close its connections."""
        self._dispose()
        self._connection.close()


class SharedDatabase(Database):
    """A database as the cloud has it, whose connections, when it is a pooled one, outlast the test that it is of."""

    _ended = False
    _lasts = False

    def _make_engine(self, pool_size: int) -> sa.Engine:
        pooled = _lent.get(self.url)
        if pooled is None:
            return super()._make_engine(pool_size)
        pooled.watch(self)
        engine = pooled.engine
        if engine is None:
            engine = super()._make_engine(pool_size)
            if pooled.is_shaped:
                pooled.keep(engine)
        self._lasts = pooled.is_shaped
        return engine

    def close(self) -> None:
        """Close the connections that are this test's."""
        if not self._lasts:
            super().close()

    def _begin(self, *, writes: bool) -> Any:
        if self._ended:
            raise RuntimeError("the test that had this database has ended")
        return super()._begin(writes=writes)

    def end(self) -> None:
        """Refuse whatever a thread of the test still wants."""
        self._ended = True


_lent: dict[sa.URL, PooledDatabase] = {}


def find(url: str) -> PooledDatabase:
    """The pooled database of that URL, which a test has been lent."""
    return _lent[sa.make_url(url)]


class Pool:
    """The pooled databases of a server; `create` gives the URL of a new one."""

    def __init__(self, create: Callable[[], str]) -> None:
        self._create = create
        self._free: list[PooledDatabase] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of an empty database, lent while the block lasts."""
        database = self._free.pop() if self._free else PooledDatabase(self._create())
        _lent[database.url] = database
        try:
            yield database.url.render_as_string(hide_password=False)
        finally:
            del _lent[database.url]
            database.give_back()
            self._free.append(database)

    def close(self) -> None:
        """Close the pool's own connections."""
        for database in self._free:
            database.close()


def _name(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
    del dialect, record, arguments
    parameters["application_name"] = NAME


def _tables(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    text = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename"
    return [name for (name,) in connection.execute(text, (schema,)).fetchall()]


def _value(connection: psycopg.Connection[Any], text: str) -> Any:
    row = connection.execute(_sql(text)).fetchone()
    assert row is not None
    return row[0]


def _sql(text: str) -> Any:
    return text
