"""Generations: for a set of tables, one value that changes whenever anything in them does.

What is worked out from such tables (who a token stands for, a list's encoded body) is kept in memory under the
generation that it was read at. Every API process notices every change with one small read in the transaction at hand,
and nobody has to send invalidations.

A table that names its generation (`sa.Table(..., info=generation.info)`) cannot be forgotten: the transaction bumps the
generation by itself when a statement changes the table. `bump` is for those who say it themselves.
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

from stackyard.core.db import CHANGED_WITH, Database, Transaction, metadata

T = TypeVar("T")


HEAVIEST = 32 * 1024 * 1024
"""Bytes that the encoded answers in one memory may have together."""


class Memory:
    """What was worked out at one generation, by key; the least recently used goes first, all of it at a change.

    At most `size` things are kept, and of encoded answers at most `heaviest` bytes.
    """

    def __init__(self, size: int, heaviest: int = HEAVIEST) -> None:
        self._size = size
        self._heaviest = heaviest
        self._weight = 0
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
                self._weight = 0
                self._at = at
            self._weight += _weight(value) - _weight(self._kept.get(key))
            self._kept[key] = value
            while len(self._kept) > self._size or self._weight > self._heaviest:
                self._weight -= _weight(self._kept.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._kept)

    def remember(self, at: int, key: Hashable, work_out: Callable[[], T]) -> T:
        """What is kept under `key` at generation `at`, else what `work_out` answers, which is then kept."""
        found: T | None = self.get(at, key)
        if found is None:
            found = work_out()
            self.put(at, key, found)
        return found


def _weight(value: object) -> int:
    return len(value) if isinstance(value, bytes) else 0


class Generation:
    """The generation of one service's tables, kept in the table `<name>_generation`; `size` bounds its memories."""

    def __init__(self, name: str, *, size: int = 2048) -> None:
        self.table = sa.Table(
            f"{name}_generation",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("value", sa.BigInteger, nullable=False),
        )
        self.info = {CHANGED_WITH: self}
        """What a table has in its `info` whose changes are to bump this generation."""
        self._size = size
        self._read = f"SELECT value FROM {self.table.name} WHERE id = 1"  # noqa: S608 (the name is the code's)
        self._change = sa.update(self.table).where(self.table.c.id == 1).values(value=bindparam("new"))
        self._insert = sa.insert(self.table)
        self._memories: WeakKeyDictionary[Database, Memory] = WeakKeyDictionary()

    def current(self, tx: Transaction) -> int:
        """The generation of what this transaction sees; 0 before the first change."""
        found = tx.generations.get(self)
        if found is None:
            found = tx.generations[self] = int(tx.peek(self._read) or 0)
        return found

    def bump(self, tx: Transaction) -> None:
        """Say that this transaction changes what the generation is of.

        The new value is drawn at random: a transaction that is rolled back leaves in memory only what no later
        transaction asks for.
        """
        tx.generations.pop(self, None)
        value = secrets.randbits(62) + 1
        if tx.execute(self._change, {"new": value}).rowcount == 0:
            tx.insert_once(self._insert, {"id": 1, "value": value})

    def resize(self, database: Database, size: int) -> None:
        """Have this process keep so many things of a database, beginning with none."""
        self._memories[database] = Memory(size)

    def memory(self, tx: Transaction) -> Memory:
        """This process's memory of the transaction's database."""
        found = self._memories.get(tx.database)
        if found is None:
            found = self._memories.setdefault(tx.database, Memory(self._size))
        return found
