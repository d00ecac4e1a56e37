"""POST /v3/users/{user_id}/password: whoever knows a user's password may change it, with or without a token."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core import config
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity import attributes, changes, passwords
from stackyard.services.identity.tokens import revocations
from stackyard.services.identity.users import lockout, tables
from stackyard.services.identity.users.bodies import PasswordChange
from stackyard.services.identity.users.tables import users

_REFUSED = "The request you have made requires authentication."
_UPDATE = sa.update(users).where(
    users.c.id == bindparam("key"), users.c.enabled.is_(True), users.c.password_hash == bindparam("old")
)


async def change(call: Call) -> Reply:
    """Change a password; every token of the user ends."""
    asked, _ = attributes.read(call.body, PasswordChange, "user")
    rules = call.runtime.settings.password
    row, locked, former = await call.read("change password: look up", _find, rules, call.path["user_id"])
    stored = row.password_hash if row is not None and row.enabled else None
    right = await passwords.in_pool(passwords.verify_password, stored, asked.original_password[: passwords.MAX_LENGTH])
    if row is None or not right or locked:
        if row is not None and not right and rules.lockout_failure_attempts:
            await call.write("change password: failed", lockout.count_failure, rules, row.id)
        raise Unauthorized(_REFUSED)
    if row.options.get("lock_password"):
        raise BadRequest("You cannot change your password: it is locked. Ask an administrator to reset it.")
    for old in former:
        if await passwords.in_pool(passwords.verify_password, old, asked.password):
            raise BadRequest(
                "The new password cannot be identical to a previous password. The total number which includes the new "
                f"password must be unique is {rules.unique_last_password_count}."
            )
    hashed = await passwords.in_pool(passwords.hash_password, asked.password)
    await call.write("change password", _change, call, stored, hashed)
    return Reply(status=204)


def _find(tx: Transaction, rules: config.Password, user_id: str) -> tuple[Row[Any] | None, bool, list[str]]:
    """The user, whether the account is locked, and the hashes whose passwords may not be chosen."""
    row = tx.first(tables.BY_ID, {"id": user_id})
    if row is None:
        return None, False, []
    present = [row.password_hash] if rules.unique_last_password_count and row.password_hash else []
    return row, lockout.is_locked(tx, rules, row.id), present + lockout.former_hashes(tx, rules, row.id)


def _change(tx: Transaction, call: Call, old: str | None, hashed: str) -> None:
    user_id = call.path["user_id"]
    statement = _UPDATE.values(password_hash=hashed, password_created_at=tx.now, password_expires_at=None)
    if tx.execute(statement, {"key": user_id, "old": old}).rowcount == 0:
        raise Unauthorized(_REFUSED)
    lockout.keep_former(tx, call.runtime.settings.password, user_id, old)
    revocations.revoke(tx, user_id=user_id)
    changes.note(tx, call, "user", user_id)
