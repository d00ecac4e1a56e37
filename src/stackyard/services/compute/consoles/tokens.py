"""Tokens that open a console: random, kept as hashes, good for one console of one server until they expire."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.compute.tables import console_tokens, servers

_INSERT = sa.insert(console_tokens)
_FORGET = sa.delete(console_tokens).where(console_tokens.c.expires_at <= bindparam("now"))
# A server that has moved, or is deleted, is not reached by what was handed out before.
_VALID = (
    sa.select(console_tokens, servers.c.kind, servers.c.project_id)
    .join(servers, sa.and_(servers.c.id == console_tokens.c.server_id, servers.c.host == console_tokens.c.host))
    .where(
        console_tokens.c.token_hash == bindparam("digest"),
        console_tokens.c.expires_at > bindparam("now"),
        servers.c.deleted_at.is_(None),
    )
)


def issue(tx: Transaction, server: Any, console: str, lifetime: int) -> str:
    """A new token for this console (vnc or serial), good for `lifetime` seconds; those that expired are forgotten."""
    token = ids.new_uuid()
    tx.execute(_FORGET, {"now": tx.now})
    row = {
        "token_hash": _digest(token), "server_id": server.id, "host": server.host, "console": console,
        "created_at": tx.now, "expires_at": tx.now + timedelta(seconds=lifetime),
    }  # fmt: skip
    tx.execute(_INSERT, row)
    return token


def find(tx: Transaction, token: str) -> Any:
    """What a token opens: its row with the server's kind; None when it opens nothing (any more)."""
    return tx.first(_VALID, {"digest": _digest(token), "now": tx.now})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
