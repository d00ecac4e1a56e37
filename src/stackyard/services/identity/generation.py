"""The identity data's generation: one value that changes whenever anything in this service's tables does.

What is worked out from those tables (who a token stands for, its body) is kept in memory under the generation it was
read at, so that every API process notices every change with one small read and nobody has to send invalidations.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Database, Transaction, metadata

T = TypeVar("T")

generations = sa.Table(
    "identity_generation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("value", sa.BigInteger, nullable=False),
)

# As text and past SQLAlchemy's compiler: every authenticated call of every service runs this.
_READ = "SELECT value FROM identity_generation WHERE id = 1"
_CHANGE = sa.update(generations).where(generations.c.id == 1).values(value=bindparam("new"))
_INSERT = sa.insert(generations)
_KEPT = 2048


def current(tx: Transaction) -> int:
    """The generation of what this transaction sees."""
    row = tx.connection.exec_driver_sql(_READ).first()
    return 0 if row is None else int(row[0])


def bump(tx: Transaction) -> None:
    """Say that this transaction changes identity data.

    The new value is drawn at random: a transaction that is rolled back leaves in memory only what no later
    transaction asks for.
    """
    value = secrets.randbits(62) + 1
    if tx.execute(_CHANGE, {"new": value}).rowcount == 0:
        tx.insert_once(_INSERT, {"id": 1, "value": value})


class Memory:
    """What was worked out at one generation, by key; the least recently used goes first, all of it at a change."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._at = 0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, at: int, key: Hashable) -> Any:
        """What is kept under `key` at generation `at`, or None."""
        with self._lock:
            found = self._kept.get(key) if at == self._at else None
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, at: int, key: Hashable, value: Any) -> None:
        """Keep `value`; nothing of another generation is kept beside it."""
        with self._lock:
            if at != self._at:
                self._kept.clear()
                self._at = at
            self._kept[key] = value
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def remember(self, at: int, key: Hashable, work_out: Callable[[], T]) -> T:
        """What is kept under `key` at generation `at`, else what `work_out` answers, which is then kept."""
        found: T | None = self.get(at, key)
        if found is None:
            found = work_out()
            self.put(at, key, found)
        return found


_memories: WeakKeyDictionary[Database, Memory] = WeakKeyDictionary()


def memory(tx: Transaction) -> Memory:
    """This process's memory of the transaction's database."""
    found = _memories.get(tx.database)
    if found is None:
        found = _memories.setdefault(tx.database, Memory())
    return found
