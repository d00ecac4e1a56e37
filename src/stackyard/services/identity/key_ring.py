"""Keys that come and go: in the database, so that every API process of a cloud has the same.

As in Keystone there is one primary key, which new tokens are made with, older ones, which still open or verify those of
their time, and a staged one, which becomes primary at the next rotation and which every process knows by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.services.identity import generation

MAX_ACTIVE_KEYS = 3
STAGED = 0


class Rotation(NamedTuple):
    """What a rotation did: how many keys are kept now, and how many older ones are gone for good."""

    kept: int
    dropped: int


class KeyRing:
    """The keys of one kind, in a table of their own; `draw` makes one."""

    def __init__(self, table: str, draw: Callable[[], str]) -> None:
        self.table = sa.Table(
            table,
            metadata,
            sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("key", sa.String(64), nullable=False),
            sa.Column("created_at", Moment, nullable=False),
            info=generation.IDENTITY.info,
        )
        self.draw = draw
        position = self.table.c.position
        self._all = sa.select(self.table).order_by(position.desc())
        self._insert = sa.insert(self.table)
        self._move = sa.update(self.table).where(position == bindparam("old")).values(position=bindparam("new"))
        self._delete = sa.delete(self.table).where(position == bindparam("old"))

    def create(self, tx: Transaction) -> None:
        """Make the first keys, unless there are some."""
        if tx.first(self._all) is None:
            self._add(tx, STAGED)
            self._add(tx, 1)

    def keys(self, tx: Transaction) -> Sequence[Row[Any]]:
        """Position and key of each, the primary one first and the staged one last; none before they are created."""
        return tx.all(self._all)

    def rotate(self, tx: Transaction, max_active_keys: int = MAX_ACTIVE_KEYS) -> Rotation:
        """Make the staged key primary, stage a new one, and drop the oldest beyond `max_active_keys` (at least two).

        Tokens made with a dropped key are invalid from then on.
        """
        self.create(tx)
        positions = [row.position for row in self.keys(tx)]
        tx.execute(self._move, {"old": STAGED, "new": positions[0] + 1})
        self._add(tx, STAGED)
        ordered = [positions[0] + 1, *(position for position in positions if position != STAGED)]
        keep = max(max_active_keys - 1, 1)
        for position in ordered[keep:]:
            tx.execute(self._delete, {"old": position})
        return Rotation(kept=len(ordered[:keep]) + 1, dropped=len(ordered[keep:]))

    def _add(self, tx: Transaction, position: int) -> None:
        tx.execute(self._insert, {"position": position, "key": self.draw(), "created_at": tx.now})
