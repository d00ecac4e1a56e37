"""Who may ask a host for what: a ticket is a secret that is good once, for one move from one host to another, or for
looking at one server of the host that is asked.

Whoever can write the cloud's rows can make one, and nobody else: the row has its digest, the secret itself goes over
the connection alone.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.compute.tables import migrations, servers, transfer_tickets

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
_SERVER = sa.select(servers).where(
    servers.c.id == bindparam("key"), servers.c.host == bindparam("host"), servers.c.deleted_at.is_(None)
)


class Good(NamedTuple):
    """What a ticket was good for: the row of a move or of a server, and who asks."""

    move: Any
    server: Any
    asked_by: str


def issue(tx: Transaction, about: str, *, asked_by: str, asked_of: str) -> str:
    """A new ticket's secret; `about` is the id of a move, or of a server that is to be looked at.

    What nobody used in time is deleted by the way.
    """
    secret = secrets.token_urlsafe(32)
    tx.execute(_SWEEP, {"at": tx.now})
    row = {"digest": _digest(secret), "move": about, "asked_by": asked_by, "asked_of": asked_of}
    tx.execute(_ADD, row | {"expires_at": tx.now + LIFETIME})
    return secret


def redeem(tx: Transaction, secret: str, host: str) -> Good | None:
    """What a ticket is for; None when it is not good here (any more).

    It is good for a move that is under way between the two hosts, or for a server of this one, and used up by this.
    """
    key = _digest(secret)
    ticket = tx.first(_FIND, {"key": key, "host": host})
    if ticket is None or tx.execute(_USE, {"key": key}).rowcount == 0 or ticket.expires_at < tx.now:
        return None
    move = tx.first(_MOVE, {"key": ticket.move})
    if move is None:
        server = tx.first(_SERVER, {"key": ticket.move, "host": host})
        return None if server is None else Good(None, server, ticket.asked_by)
    ends = {move.source_compute, move.dest_compute}
    good = move.status in UNDER_WAY and ends == {ticket.asked_by, host} and len(ends) == 2
    return Good(move, None, ticket.asked_by) if good else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
