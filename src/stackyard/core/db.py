"""State: one database, reached only through named transaction functions.

A transaction function takes a `Transaction` first and may run more than once: when the database says that two
transactions met (SQLite's busy, PostgreSQL's serialisation failure or deadlock) it is rolled back and run again. So it
touches nothing but the database; what must follow a commit is given to `Transaction.after_commit`.

SQLite (WAL) has one writer: writing transactions queue on a lock here rather than spin on SQLITE_BUSY. PostgreSQL runs
at REPEATABLE READ, which gives each transaction one view of the state, as SQLite does.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult, Engine, Row
from sqlalchemy.exc import DBAPIError, IntegrityError

from stackyard.core.clock import Clock
from stackyard.core.sqlite import SqliteConnections

P = ParamSpec("P")
T = TypeVar("T")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
TransactionFunction = Callable[Concatenate["Transaction", P], T]

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every service declares its tables here."""

CHANGED_WITH = "stackyard.generation"
"""In a table's `info`: the generation that changes whenever the table does (see core/generation.py)."""

ATTEMPTS = 20
FREE_ATTEMPTS = 2
"""Attempts after which transactions that keep meeting others take turns, within one process."""


class TryAgain(Exception):
    """Raised in a transaction function: another transaction got in between; roll back and run it again."""


_RETRY_STATES = {"40001", "40P01", "23503", "23505"}
"""Serialisation failure and deadlock; and, on PostgreSQL, a foreign or unique key that another transaction got in
between: operations check before they write, so run again they find what the other one did and answer accordingly.
"""


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds, the same on both databases."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:
        """SQLite keeps no zone, so what it keeps is UTC."""
        if value is not None and dialect.name == "sqlite":
            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    def result_processor(self, dialect: sa.engine.Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """SQLite keeps text, and lists read the same moments again and again: remember what a text says."""
        if dialect.name == "sqlite":
            return _read_text
        return super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@lru_cache(16384)
def _read_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


class Bumped(Protocol):
    """What is told once by each transaction that changes a table of its own."""

    def bump(self, tx: Transaction) -> None:
        """The transaction changes something."""


class Transaction:
    """One transaction: what a transaction function reads and writes through."""

    __slots__ = ("_after_commit", "_bumped", "connection", "database", "generations", "name", "now")

    def __init__(self, name: str, connection: Connection, database: Database) -> None:
        self.name = name
        self.connection = connection
        self.database = database
        self.now: datetime = database.clock.now()
        """One moment for all that the transaction writes."""
        self.generations: dict[Bumped, int] = {}
        """What has been read of generations; it stays so until the transaction itself bumps one."""
        self._after_commit: list[Callable[[], object]] = []
        self._bumped: list[Bumped] = []

    def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Run a statement; the result's rowcount says how many rows it changed."""
        if statement.is_dml:
            self._bump(cast("sa.Table", cast("sa.UpdateBase", statement).table))
        return self.connection.execute(statement, parameters)

    def _bump(self, table: sa.Table) -> None:
        generation: Bumped | None = table.info.get(CHANGED_WITH)
        if generation is not None and generation not in self._bumped:
            self._bumped.append(generation)
            generation.bump(self)

    def all(self, statement: sa.Executable, parameters: Parameters | None = None) -> Sequence[Row[Any]]:
        """All rows."""
        return self.execute(statement, parameters).all()

    def first(self, statement: sa.Executable, parameters: Parameters | None = None) -> Row[Any] | None:
        """The first row, or None."""
        return self.execute(statement, parameters).first()

    def scalar(self, statement: sa.Executable, parameters: Parameters | None = None) -> Any:
        """The first column of the first row, or None."""
        return self.execute(statement, parameters).scalar()

    def peek(self, text: str) -> Any:
        """The first column of the first row of a constant query, or None: the shortest way, for what every call asks.

        A local file is read past SQLAlchemy, whose handling of a result costs ten times what this read does; when that
        fails, SQLAlchemy reads again and raises what can be told apart.
        """
        if self.database.is_sqlite:
            raw: Any = self.connection.connection.dbapi_connection
            try:
                row = raw.execute(text).fetchone()
            except sqlite3.Error:
                pass
            else:
                return None if row is None else row[0]
        return self.connection.exec_driver_sql(text).scalar()

    def insert_once(self, statement: sa.Insert, parameters: Mapping[str, Any]) -> None:
        """Insert a row that an update has just not found; when another transaction inserts it meanwhile, run again."""
        try:
            self.execute(statement, parameters)
        except IntegrityError as error:
            raise TryAgain(str(error.orig)) from error

    def after_commit(self, action: Callable[[], object]) -> None:
        """Call `action` once the transaction has been committed; never when it was rolled back or is run again."""
        self._after_commit.append(action)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after_commit:
            action()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that may fail (by an IntegrityError, say) without losing the whole transaction."""
        bumped = list(self._bumped)
        try:
            with self.connection.begin_nested():
                yield
        except BaseException:
            self._bumped = bumped  # what the part had bumped was rolled back with it
            self.generations.clear()
            raise


class Database:
    """A SQLite file or a PostgreSQL database, and the only way to run a transaction."""

    def __init__(self, url: str, *, pool_size: int = 16, clock: Clock | None = None) -> None:
        self.url = sa.make_url(url)
        self.clock = clock or Clock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.reads_at_once = self.is_sqlite
        """Whether a reading transaction waits for nothing: not for the network, nor (in WAL mode) for writers."""
        self.observe: Callable[[str, float, int], None] | None = None
        """Called after each transaction with its name, seconds, and retries."""
        self._writer = threading.Lock()
        self._turns = threading.Lock()
        self._writing_thread: int | None = None
        self._engine = self._make_engine(pool_size)
        self._sqlite = SqliteConnections(self._engine) if self.is_sqlite else None

    def _make_engine(self, pool_size: int) -> Engine:
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
            "json_serializer": lambda value: msgspec.json.encode(value).decode(),
            "json_deserializer": msgspec.json.decode,
        }
        if self.is_sqlite:
            del options["pool_size"], options["max_overflow"]
            options |= {"connect_args": {"check_same_thread": False, "timeout": 30}, "poolclass": sa.pool.NullPool}
        else:
            options |= {"isolation_level": "REPEATABLE READ"}
        return sa.create_engine(self.url, **options)

    def _begin(self, *, writes: bool) -> AbstractContextManager[Connection]:
        if self._sqlite is None:
            return self._engine.begin()
        return self._sqlite.transaction("BEGIN IMMEDIATE" if writes else "BEGIN")

    @property
    def engine(self) -> Engine:
        """The engine itself, for migrations."""
        return self._engine

    def read(self, name: str, function: TransactionFunction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction function that only reads."""
        return self._run(name, lambda tx: function(tx, *args, **kwargs), writes=False)

    def write(self, name: str, function: TransactionFunction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction function that writes, and commit it."""
        return self._run(name, lambda tx: function(tx, *args, **kwargs), writes=True)

    def _run(self, name: str, function: Callable[[Transaction], T], *, writes: bool) -> T:
        if not (writes and self.is_sqlite):
            result, transaction = self._attempt_until_done(name, function, writes=writes)
        elif self._writing_thread == threading.get_ident():
            raise RuntimeError(f"transaction {name} was begun inside another; pass the Transaction on instead")
        else:
            with self._writer:
                self._writing_thread = threading.get_ident()
                try:
                    result, transaction = self._attempt_until_done(name, function, writes=True)
                finally:
                    self._writing_thread = None
        # Outside the lock: what follows a commit may itself begin a transaction.
        transaction.committed()
        return result

    def _attempt_until_done(
        self, name: str, function: Callable[[Transaction], T], *, writes: bool
    ) -> tuple[T, Transaction]:
        started = time.perf_counter()
        has_turn = False
        try:
            for attempt in range(ATTEMPTS):
                # Who comes while another has its turn waits too, or it would make that one fail again and again.
                if writes and not has_turn and (attempt >= FREE_ATTEMPTS or self._turns.locked()):
                    has_turn = self._turns.acquire()
                try:
                    with self._begin(writes=writes) as connection:
                        transaction = Transaction(name, connection, self)
                        result = function(transaction)
                except (DBAPIError, TryAgain) as error:
                    if attempt + 1 == ATTEMPTS or not _may_retry(error):
                        raise
                    time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 6)))  # noqa: S311
                    continue
                if self.observe is not None:
                    self.observe(name, time.perf_counter() - started, attempt)
                return result, transaction
        finally:
            if has_turn:
                self._turns.release()
        raise AssertionError("unreachable: the last attempt returns or raises")

    def begin_schema_change(self) -> AbstractContextManager[Connection]:
        """One transaction for migrations; on both databases a schema changes whole or not at all."""
        return self._begin(writes=True) if self._sqlite is None else self._sqlite.schema_change()

    def create_all(self) -> None:
        """Make every declared table (a new state directory; migrations change an old one)."""
        metadata.create_all(self._engine)

    def close(self) -> None:
        """Close every connection."""
        if self._sqlite is not None:
            self._sqlite.close()
        self._engine.dispose()


def _may_retry(error: DBAPIError | TryAgain) -> bool:
    if isinstance(error, TryAgain):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _RETRY_STATES
    text = str(error.orig)
    return "database is locked" in text or "database table is locked" in text
