"""When users last signed in, and accounts that count as disabled since that is too long ago.

In a table of its own: what is kept in memory of the users is not lost whenever one of them signs in. Only written where
the rule is in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.config_identity import Password
from stackyard.core.db import Transaction, metadata

last_sign_ins = sa.Table(
    "identity_last_sign_ins",
    metadata,
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("on_day", sa.Date, nullable=False),
)

_LAST = sa.select(last_sign_ins.c.on_day).where(last_sign_ins.c.user_id == bindparam("user"))
_AFTER = sa.select(last_sign_ins.c.user_id).where(last_sign_ins.c.on_day > bindparam("day"))
_UPDATE = sa.update(last_sign_ins).where(last_sign_ins.c.user_id == bindparam("user")).values(on_day=bindparam("today"))
_INSERT = sa.insert(last_sign_ins)


def note(tx: Transaction, user_id: str) -> None:
    """The user is active today."""
    today = tx.now.date()
    if tx.execute(_UPDATE, {"user": user_id, "today": today}).rowcount == 0:
        tx.insert_once(_INSERT, {"user_id": user_id, "on_day": today})


def is_noted(tx: Transaction, user_id: str) -> bool:
    """Whether the user has been active today already."""
    return bool(tx.scalar(_LAST, {"user": user_id}) == tx.now.date())


def is_inactive(tx: Transaction, rules: Password, user: Row[Any]) -> bool:
    """Whether the account counts as disabled."""
    if not rules.disable_user_account_days_inactive or user.options.get("ignore_user_inactivity"):
        return False
    last = tx.scalar(_LAST, {"user": user.id}) or user.created_at.date()
    return bool((tx.now.date() - last).days >= rules.disable_user_account_days_inactive)


def inactive(tx: Transaction, rules: Password, users: Iterable[Row[Any]]) -> set[str]:
    """The ids of those among `users` whose accounts count as disabled."""
    if not rules.disable_user_account_days_inactive:
        return set()
    day = tx.now.date() - timedelta(days=rules.disable_user_account_days_inactive)
    active = {row.user_id for row in tx.all(_AFTER, {"day": day})}
    return {
        user.id
        for user in users
        if user.id not in active and user.created_at.date() <= day and not user.options.get("ignore_user_inactivity")
    }
