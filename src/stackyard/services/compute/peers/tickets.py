"""Who may ask a host for what: a ticket is a secret that is good once, for one move, from one host to another.

Whoever can write the cloud's rows can make one, and nobody else: the row has its digest, the secret itself goes over
the connection alone.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.compute.tables import migrations, transfer_tickets

LIFETIME = timedelta(seconds=60)

UNDER_WAY = (
    "accepted", "queued", "preparing", "running", "pre-migrating", "migrating", "post-migrating",
)  # fmt: skip
"""States of a move in which its hosts have something to ask of each other."""

_t, _m = transfer_tickets.c, migrations.c
_ADD = sa.insert(transfer_tickets)
_SWEEP = sa.delete(transfer_tickets).where(_t.expires_at < bindparam("at"))
_FIND = sa.select(transfer_tickets).where(_t.digest == bindparam("key"), _t.asked_of == bindparam("host"))
_USE = sa.delete(transfer_tickets).where(_t.digest == bindparam("key"))
_MOVE = sa.select(migrations).where(_m.uuid == bindparam("key"))


def issue(tx: Transaction, move_id: str, *, asked_by: str, asked_of: str) -> str:
    """A new ticket's secret; what nobody used in time is deleted by the way."""
    secret = secrets.token_urlsafe(32)
    tx.execute(_SWEEP, {"at": tx.now})
    row = {"digest": _digest(secret), "move": move_id, "asked_by": asked_by, "asked_of": asked_of}
    tx.execute(_ADD, row | {"expires_at": tx.now + LIFETIME})
    return secret


def redeem(tx: Transaction, secret: str, host: str) -> tuple[Any, str] | None:
    """The row of the move that a ticket is for, and who asks; None when it is not good here (any more).

    It is good for a move that is under way between the two hosts, and used up by this.
    """
    key = _digest(secret)
    ticket = tx.first(_FIND, {"key": key, "host": host})
    if ticket is None or tx.execute(_USE, {"key": key}).rowcount == 0 or ticket.expires_at < tx.now:
        return None
    move = tx.first(_MOVE, {"key": ticket.move})
    if move is None or move.status not in UNDER_WAY:
        return None
    ends = {move.source_compute, move.dest_compute}
    return (move, ticket.asked_by) if ends == {ticket.asked_by, host} and len(ends) == 2 else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
