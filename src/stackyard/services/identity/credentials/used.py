"""What was signed and presented once, for as long as it would be good: it is good once."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.errors import Unauthorized

signatures = sa.Table(
    "identity_used_signatures",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("good_until", Moment, nullable=False, index=True),
)

_FIND = sa.select(signatures.c.digest).where(signatures.c.digest == bindparam("digest"))
_INSERT = sa.insert(signatures)
_PRUNE = sa.delete(signatures).where(signatures.c.good_until < bindparam("now"))


def use(tx: Transaction, good_until: datetime, *what: str) -> None:
    """Remember what makes a signed request the one it is; raises Unauthorized for one that was used before."""
    tx.execute(_PRUNE, {"now": tx.now})
    digest = hashlib.sha256("\n".join(what).encode()).hexdigest()
    if tx.first(_FIND, {"digest": digest}) is not None:
        raise Unauthorized("This signed request was used before; sign each request anew.")
    tx.insert_once(_INSERT, {"digest": digest, "good_until": good_until})
