"""Key pairs' rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.services.compute.tables import keypairs

_BY_NAME = sa.select(keypairs).where(keypairs.c.user_id == bindparam("user"), keypairs.c.name == bindparam("key"))


def exists(tx: Transaction, user_id: str, name: str) -> bool:
    """Whether a user has a key pair of this name."""
    return tx.first(_BY_NAME, {"user": user_id, "key": name}) is not None


def find(tx: Transaction, user_id: str, name: str) -> Any:
    """A user's key pair: `name`, `type`, `public_key`, `fingerprint`, ...; raises KeypairNotFound."""
    row = tx.first(_BY_NAME, {"user": user_id, "key": name})
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}", kind="KeypairNotFound")
    return row
