"""POST /v3/users/{user_id}/password: whoever knows a user's password may change it, with or without a token."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.config_identity import Password
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity import attributes, changes, passwords
from stackyard.services.identity.tokens import revocations
from stackyard.services.identity.users import activity, lockout, password_rules, tables
from stackyard.services.identity.users.bodies import PasswordChange
from stackyard.services.identity.users.tables import users

_REFUSED = "The request you have made requires authentication."
_UPDATE = sa.update(users).where(
    users.c.id == bindparam("key"), users.c.enabled.is_(True), users.c.password_hash == bindparam("old")
)


async def change(call: Call) -> Reply:
    """Change a password; every token of the user ends."""
    asked, _ = attributes.read(call.body, PasswordChange, "user")
    passwords.on_behalf_of(call.request)
    rules = call.runtime.settings.password
    row, refused, former = await call.read("change password: look up", _find, rules, call.path["user_id"])
    stored = row.password_hash if row is not None and row.enabled else None
    right = await passwords.is_right(stored, asked.original_password)
    if row is None or not right or refused:
        if row is not None and not right and rules.lockout_failure_attempts:
            await call.write("change password: failed", lockout.count_failure, rules, row.id)
        raise Unauthorized(_REFUSED)
    password_rules.check_new(rules, asked.password)
    password_rules.check_may_change(rules, row, call.runtime.database.clock.now())
    for old in former:
        if await passwords.is_right(old, asked.password):
            raise BadRequest(
                "The new password cannot be identical to a previous password. The total number which includes the new "
                f"password must be unique is {rules.unique_last_password_count}.",
                kind="PasswordHistoryValidationError",
            )
    hashed = await passwords.in_pool(passwords.hash_password, asked.password)
    await call.write("change password", _change, call, row, hashed)
    return Reply(status=204)


def _find(tx: Transaction, rules: Password, user_id: str) -> tuple[Row[Any] | None, bool, list[str]]:
    """The user, whether the account is locked or unused for too long, and the hashes that may not be chosen again."""
    row = tx.first(tables.BY_ID, {"id": user_id})
    if row is None:
        return None, False, []
    present = [row.password_hash] if rules.unique_last_password_count and row.password_hash else []
    refused = lockout.is_locked(tx, rules, row) or activity.is_inactive(tx, rules, row)
    return row, refused, present + lockout.former_hashes(tx, rules, row.id)


def _change(tx: Transaction, call: Call, row: Row[Any], hashed: str) -> None:
    rules = call.runtime.settings.password
    values = password_rules.columns(rules, row.options, hashed, tx.now, chosen_by_user=True)
    if tx.execute(_UPDATE.values(**values), {"key": row.id, "old": row.password_hash}).rowcount == 0:
        raise Unauthorized(_REFUSED)
    lockout.keep_former(tx, rules, row.id, row.password_hash)
    lockout.forget_failures(tx, row.id)
    revocations.revoke(tx, user_id=row.id)
    changes.note(tx, call, "user", row.id)
