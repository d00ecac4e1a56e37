"""Accounts that too many wrong passwords in a row lock for a while, and passwords that may not be chosen again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core import timeline
from stackyard.core.config_identity import Password
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.ids import new_hex

if TYPE_CHECKING:
    from stackyard.core.call import Call
    from stackyard.services.identity.tokens.evidence import Evidence

failures = sa.Table(
    "identity_failed_sign_ins",
    metadata,
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
)

former = sa.Table(
    "identity_former_passwords",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("replaced_at", Moment, nullable=False),
)

_FAILURES = sa.select(failures).where(failures.c.user_id == bindparam("user"))
_COUNT = (
    sa.update(failures)
    .where(failures.c.user_id == bindparam("user"))
    .values(attempts=bindparam("number"), last_at=bindparam("now", type_=Moment))
)
_FIRST = sa.insert(failures)
_FORGET = sa.delete(failures).where(failures.c.user_id == bindparam("user"))
_FORMER = sa.select(former).where(former.c.user_id == bindparam("user")).order_by(former.c.replaced_at.desc())
_KEEP = sa.insert(former)
_DROP = sa.delete(former).where(former.c.id == bindparam("key"))


def look_at(tx: Transaction, call: Call, user: Row[Any], evidence: Evidence) -> None:
    """For a method whose secret can be guessed: have wrong guesses counted, and refuse while the account is locked."""
    rules = call.runtime.settings.password
    if rules.lockout_failure_attempts == 0 or user.options.get("ignore_lockout_failure_attempts"):
        return
    evidence.counted = user.id
    evidence.has_failures = tx.first(_FAILURES, {"user": user.id}) is not None
    evidence.believable &= not is_locked(tx, rules, user)


def is_locked(tx: Transaction, rules: Password, user: Row[Any]) -> bool:
    """Whether a user's account is locked now."""
    if rules.lockout_failure_attempts == 0 or user.options.get("ignore_lockout_failure_attempts"):
        return False
    return _is_locked(tx, rules, tx.first(_FAILURES, {"user": user.id}))


def _is_locked(tx: Transaction, rules: Password, row: Row[Any] | None) -> bool:
    if row is None or row.attempts < rules.lockout_failure_attempts:
        return False
    return bool(row.last_at + timedelta(seconds=rules.lockout_duration) > tx.now)


def count_failure(tx: Transaction, rules: Password, user_id: str) -> None:
    """Count a wrong password; while the account is locked nothing is counted, so that the lock ends."""
    row = tx.first(_FAILURES, {"user": user_id})
    if _is_locked(tx, rules, row):
        return
    begun = row is not None and row.attempts < rules.lockout_failure_attempts
    attempts = row.attempts + 1 if row is not None and begun else 1
    if row is None:
        tx.insert_once(_FIRST, {"user_id": user_id, "attempts": 1, "last_at": tx.now})
    else:
        tx.execute(_COUNT, {"user": user_id, "number": attempts, "now": tx.now})
    if attempts >= rules.lockout_failure_attempts:
        timeline.record(tx, "user", user_id, "locked", f"{attempts} wrong passwords in a row")


def forget_failures(tx: Transaction, user_id: str) -> None:
    """After a right password the count begins anew."""
    tx.execute(_FORGET, {"user": user_id})


def former_hashes(tx: Transaction, rules: Password, user_id: str) -> list[str]:
    """The hashes, beside the present one, whose passwords may not be chosen again."""
    count = max(rules.unique_last_password_count - 1, 0)
    return [row.password_hash for row in tx.all(_FORMER, {"user": user_id})[:count]]


def keep_former(tx: Transaction, rules: Password, user_id: str, replaced: str | None) -> None:
    """Remember a password that is being replaced, and forget those that no longer matter."""
    count = max(rules.unique_last_password_count - 1, 0)
    if replaced is not None and count:
        tx.execute(_KEEP, {"id": new_hex(), "user_id": user_id, "password_hash": replaced, "replaced_at": tx.now})
    for row in tx.all(_FORMER, {"user": user_id})[count:]:
        tx.execute(_DROP, {"key": row.id})
