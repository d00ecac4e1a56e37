"""Revocation events: which tokens, though not expired, are no longer good.

Most of what ends a token needs no event, since a token's user, scope and roles are looked up again whenever identity
data changes. Events say what cannot be looked up: that a token was revoked, a password changed, a thing disabled.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.ids import new_hex
from stackyard.services.identity import generation
from stackyard.services.identity.tokens.payload import Token

KEPT_FOR = timedelta(days=3)
"""How long an event is kept: longer than any token lives, with the window in which services may use an expired one."""

revocations = sa.Table(
    "identity_revocations",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("audit_id", sa.String(32), nullable=True, index=True),
    sa.Column("chain_id", sa.String(32), nullable=True, index=True),
    sa.Column("user_id", sa.String(64), nullable=True, index=True),
    sa.Column("project_id", sa.String(64), nullable=True, index=True),
    sa.Column("domain_id", sa.String(64), nullable=True, index=True),
    sa.Column("issued_before", Moment, nullable=False),
    sa.Column("revoked_at", Moment, nullable=False, index=True),
)

_COMMIT_TAKES = timedelta(milliseconds=10)
"""Tokens issued so shortly after an event are ended too: their sign-in may not have seen it, as it was not committed.
Whoever signs in anew after the answer comes later than that, since verifying a password alone takes longer.
"""

_COLUMNS = ("audit_id", "chain_id", "user_id", "project_id", "domain_id")
_INSERT = sa.insert(revocations)
_PRUNE = sa.delete(revocations).where(revocations.c.revoked_at < bindparam("before"))
_MATCHING = (
    sa.select(revocations.c.id)
    .where(
        revocations.c.issued_before >= bindparam("issued_at", type_=Moment),
        sa.or_(
            revocations.c.audit_id == bindparam("audit_id"),
            revocations.c.chain_id == bindparam("chain_id"),
            revocations.c.user_id == bindparam("user_id"),
            revocations.c.project_id == bindparam("project_id"),
            revocations.c.domain_id.in_(bindparam("domain_ids", expanding=True)),
        ),
    )
    .limit(1)
)
_OF_USER = sa.select(revocations.c.id).where(
    revocations.c.issued_before >= bindparam("issued_at", type_=Moment), revocations.c.user_id == bindparam("user_id")
)


def revoke(tx: Transaction, **what: Any) -> None:
    """End the tokens issued until now that match one of audit_id, chain_id, user_id, project_id, domain_id."""
    tx.execute(_PRUNE, {"before": tx.now - KEPT_FOR})
    event = dict.fromkeys(_COLUMNS) | what
    before = tx.database.clock.now() + _COMMIT_TAKES
    tx.execute(_INSERT, {"id": new_hex(), "issued_before": before, "revoked_at": tx.now, **event})
    generation.bump(tx)


def is_revoked(tx: Transaction, token: Token, project_id: str | None, domain_ids: list[str]) -> bool:
    """Whether an event covers the token, its project, or one of the domains it has to do with."""
    values = {
        "issued_at": token.issued_at,
        "audit_id": token.audit_ids[0],
        "chain_id": token.chain_id,
        "user_id": token.user_id,
        "project_id": project_id or "",
        "domain_ids": domain_ids,
    }
    return tx.first(_MATCHING, values) is not None


def is_revoked_of_user(tx: Transaction, user_id: str, issued_at: datetime) -> bool:
    """Whether all that was issued to a user at that moment has been ended since."""
    return tx.first(_OF_USER, {"user_id": user_id, "issued_at": issued_at}) is not None
