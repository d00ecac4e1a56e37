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
from contextlib import contextmanager, suppress
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


class SqliteConnections:
    """The connections of one SQLite database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slot = _Slot()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._lock = threading.Lock()
        sa.event.listen(engine, "connect", _prepare)

    @contextmanager
    def transaction(self, begin: str) -> Iterator[Connection]:
        """A transaction on this thread's connection, begun with `begin`; committed at the end, rolled back on error."""
        slot = self._slot
        if slot.busy:  # a read inside another transaction of this thread: a connection of its own
            with self._engine.connect() as connection:
                yield from _transact(connection, begin)
            return
        own = self._connect(slot) if slot.own is None else slot.own
        slot.busy = True
        try:
            with own.used:
                yield from _transact(own.connection, begin)
        finally:
            slot.busy = False

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A transaction in which tables may be made anew under their old names, on a connection of its own.

        Foreign keys are not looked at meanwhile, else the rows that refer to a table would go with its old self; they
        are checked before the commit ("Making Other Kinds Of Table Schema Changes", sqlite.org/lang_altertable.html).
        Raises IntegrityError when a row then refers to nothing.
        """
        with self._engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
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
    raw: Any = connection.connection.dbapi_connection
    raw.execute(begin)
    try:
        yield connection
        if before_commit is not None:
            before_commit(raw)
    except BaseException:
        connection.rollback()
        if raw.in_transaction:  # nothing was run through SQLAlchemy, which then has nothing to roll back
            raw.rollback()
        raise
    connection.commit()
    if raw.in_transaction:
        raw.commit()


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
