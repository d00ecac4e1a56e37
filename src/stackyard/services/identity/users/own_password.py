"""POST /v3/users/{user_id}/password: whoever knows a user's password may change it, with or without a token."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity import attributes, changes, passwords
from stackyard.services.identity.tokens import revocations
from stackyard.services.identity.users import tables
from stackyard.services.identity.users.bodies import PasswordChange
from stackyard.services.identity.users.tables import users

_REFUSED = "The request you have made requires authentication."
_UPDATE = sa.update(users).where(
    users.c.id == bindparam("key"), users.c.enabled.is_(True), users.c.password_hash == bindparam("old")
)


async def change(call: Call) -> Reply:
    """Change a password; every token of the user ends."""
    asked, _ = attributes.read(call.body, PasswordChange, "user")
    row = await call.read("change password: look up", _find, call.path["user_id"])
    stored = row.password_hash if row is not None and row.enabled else None
    if not await passwords.in_pool(passwords.verify_password, stored, asked.original_password[: passwords.MAX_LENGTH]):
        raise Unauthorized(_REFUSED)
    if row is not None and row.options.get("lock_password"):
        raise BadRequest("You cannot change your password: it is locked. Ask an administrator to reset it.")
    hashed = await passwords.in_pool(passwords.hash_password, asked.password)
    await call.write("change password", _change, call, stored, hashed)
    return Reply(status=204)


def _find(tx: Transaction, user_id: str) -> Row[Any] | None:
    return tx.first(tables.BY_ID, {"id": user_id})


def _change(tx: Transaction, call: Call, old: str | None, hashed: str) -> None:
    user_id = call.path["user_id"]
    statement = _UPDATE.values(password_hash=hashed, password_created_at=tx.now, password_expires_at=None)
    if tx.execute(statement, {"key": user_id, "old": old}).rowcount == 0:
        raise Unauthorized(_REFUSED)
    revocations.revoke(tx, user_id=user_id)
    changes.note(tx, call, "user", user_id)
