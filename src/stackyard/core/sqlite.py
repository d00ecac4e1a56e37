"""SQLite's connections: one a thread, kept, with BEGIN said by us.

A pooled checkout and SQLAlchemy's begin event cost three times what a small query does, so each thread keeps its own
connection here. The module's own transaction control is off (isolation_level None): what begins a transaction, and
whether it takes the write lock at once, is said in one place.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000", "cache_size=-1024")


BUSY_SECONDS = 5.0
"""How long a close waits for a thread that nobody waits for to end its transaction."""


class _Own:
    """A thread's connection: closed when the thread ends, or with all others.

    `used` is held during a transaction: SQLite's module does not survive a close while a statement runs elsewhere.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.used = threading.Lock()

    def close(self) -> None:
        """Close it, if its transaction ends in time; again does nothing. Left open, it goes with its thread."""
        if self.used.acquire(timeout=BUSY_SECONDS):
            try:
                with suppress(OperationalError):
                    self.connection.close()
            finally:
                self.used.release()

    def __del__(self) -> None:
        with suppress(Exception):  # while the interpreter ends, what this needs may be gone
            self.close()


class _Slot(threading.local):
    own: _Own | None = None
    busy: bool = False


class _OwnTransaction:
    """A transaction on a thread's own connection, as SqliteConnections.transaction says.

    A class: as a generator it would cost more than all that a small read does.
    """

    __slots__ = ("_begin", "_own", "_raw", "_slot")

    def __init__(self, slot: _Slot, own: _Own, begin: str) -> None:
        self._slot = slot
        self._own = own
        self._begin = begin

    def __enter__(self) -> Connection:
        connection = self._own.connection
        self._own.used.acquire()
        self._slot.busy = True
        try:
            self._raw = _raw(connection)
            self._raw.execute(self._begin)
        except BaseException:
            self._leave()
            raise
        return connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                _commit(self._own.connection, self._raw)
            else:
                _roll_back(self._own.connection, self._raw)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._slot.busy = False
        self._own.used.release()


class SqliteConnections:
    """The connections of one SQLite database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slot = _Slot()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._lock = threading.Lock()
        sa.event.listen(engine, "connect", _prepare)

    def transaction(self, begin: str) -> AbstractContextManager[Connection]:
        """A transaction on this thread's connection, begun with `begin`; committed at the end, rolled back on error."""
        slot = self._slot
        if slot.busy:
            return self._inner_transaction(begin)
        return _OwnTransaction(slot, self._connect(slot) if slot.own is None else slot.own, begin)

    @contextmanager
    def _inner_transaction(self, begin: str) -> Iterator[Connection]:
        """A read inside another transaction of this thread: on a connection of its own."""
        with self._engine.connect() as connection:
            yield from _transact(connection, begin)

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A transaction in which tables may be made anew under their old names, on a connection of its own.

        Foreign keys are not looked at meanwhile, else the rows that refer to a table would go with its old self; they
        are checked before the commit ("Making Other Kinds Of Table Schema Changes", sqlite.org/lang_altertable.html).
        Raises IntegrityError when a row then refers to nothing.
        """
        with self._engine.connect() as connection:
            raw = _raw(connection)
            raw.execute("PRAGMA foreign_keys=OFF")
            try:
                yield from _transact(connection, "BEGIN IMMEDIATE", before_commit=_check_foreign_keys)
            finally:
                raw.execute("PRAGMA foreign_keys=ON")

    def _connect(self, slot: _Slot) -> _Own:
        own = slot.own = _Own(self._engine.connect())
        with self._lock:
            self._all.add(own)
        return own

    def close(self) -> None:
        """Close those of every thread."""
        with self._lock:
            for own in list(self._all):
                own.close()
            self._all.clear()
        self._slot = _Slot()


def _transact(
    connection: Connection, begin: str, before_commit: Callable[[Any], None] | None = None
) -> Iterator[Connection]:
    raw = _raw(connection)
    raw.execute(begin)
    try:
        yield connection
        if before_commit is not None:
            before_commit(raw)
    except BaseException:
        _roll_back(connection, raw)
        raise
    _commit(connection, raw)


def _raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _commit(connection: Connection, raw: Any) -> None:
    connection.commit()
    if raw.in_transaction:  # nothing was run through SQLAlchemy, which then has nothing to commit
        raw.commit()


def _roll_back(connection: Connection, raw: Any) -> None:
    connection.rollback()
    if raw.in_transaction:
        raw.rollback()


def _check_foreign_keys(raw: Any) -> None:
    """Each row of the answer is table, rowid, parent table and number of the key."""
    broken = raw.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({str(table) for table, *_ in broken}))
        raise sqlite3.IntegrityError(f"{len(broken)} rows refer to what does not exist, in: {tables}")


def _prepare(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
