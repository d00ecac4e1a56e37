"""The keys that tokens are encrypted with: in the database, so that every API process of a cloud has the same.

As in Keystone there is one primary key, which new tokens are encrypted with, older ones, which still open the tokens
of their time, and a staged one, which becomes primary at the next rotation and which every process knows by then.
"""

from __future__ import annotations

import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.services.identity import generation

MAX_ACTIVE_KEYS = 3
STAGED = 0

keys = sa.Table(
    "identity_fernet_keys",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

_ALL = sa.select(keys).order_by(keys.c.position.desc())
_INSERT = sa.insert(keys)
_MOVE = sa.update(keys).where(keys.c.position == bindparam("old")).values(position=bindparam("new"))
_DELETE = sa.delete(keys).where(keys.c.position == bindparam("old"))


def create_keys(tx: Transaction) -> None:
    """Make the first keys, unless there are some."""
    if tx.first(_ALL) is None:
        _insert(tx, STAGED)
        _insert(tx, 1)


def rotate_keys(tx: Transaction, max_active_keys: int = MAX_ACTIVE_KEYS) -> int:
    """Make the staged key primary, stage a new one, and drop the oldest beyond `max_active_keys`.

    Returns how many are left. Tokens encrypted with a dropped key are invalid from then on.
    """
    positions = [row.position for row in tx.all(_ALL)]
    tx.execute(_MOVE, {"old": STAGED, "new": positions[0] + 1})
    _insert(tx, STAGED)
    ordered = [positions[0] + 1, *(position for position in positions if position != STAGED)]
    keep = max(max_active_keys - 1, 1)
    for position in ordered[keep:]:
        tx.execute(_DELETE, {"old": position})
    generation.bump(tx)
    return len(ordered[:keep]) + 1


def cipher(tx: Transaction, at: int) -> MultiFernet:
    """What encrypts with the primary key and opens with any, at generation `at`."""
    return generation.memory(tx).remember(at, "cipher", lambda: _load(tx))


def _load(tx: Transaction) -> MultiFernet:
    rows = tx.all(_ALL)
    if not rows:
        raise RuntimeError("there are no token keys: the identity service has not been bootstrapped")
    return MultiFernet([Fernet(row.key) for row in rows])


def _insert(tx: Transaction, position: int) -> None:
    tx.execute(_INSERT, {"position": position, "key": Fernet.generate_key().decode(), "created_at": tx.now})
