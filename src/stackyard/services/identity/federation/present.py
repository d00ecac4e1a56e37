"""The memberships that users have for now because an identity provider said so.

Most clouds have none at all, and looking a token up asks for them: whether there are any is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Moment, Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.federation.tables import memberships

_OF_USER = sa.select(memberships.c.group_id, memberships.c.expires_at).where(
    memberships.c.user_id == bindparam("user_id"), memberships.c.expires_at > bindparam("now", type_=Moment)
)
_ANY = sa.select(sa.exists(sa.select(memberships.c.user_id)))


def memberships_of(tx: Transaction, user_id: str) -> Sequence[Row[Any]]:
    """A user's: `group_id` and `expires_at`."""
    at = generation.current(tx)
    if not generation.memory(tx).remember(at, "federated members", lambda: bool(tx.scalar(_ANY))):
        return ()
    return tx.all(_OF_USER, {"user_id": user_id, "now": tx.now})
