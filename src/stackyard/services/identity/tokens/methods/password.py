"""Sign in with a password."""

from __future__ import annotations

from functools import partial

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.identity import passwords
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Asked, Evidence, Proof, find_user
from stackyard.services.identity.users import lockout
from stackyard.services.identity.users import tables as user_tables


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Find the user, and leave the password to be verified."""
    assert auth.identity.password is not UNSET  # noqa: S101 (`prepare` has looked)
    reference = auth.identity.password.user
    if not isinstance(reference.password, str):
        raise BadRequest("Expecting to find password in user. The password method needs one.")
    asked: Asked | None = evidence.prepared.get("password")
    if asked is not None:
        evidence.claim(None if asked.user_id is None else tx.first(user_tables.BY_ID, {"id": asked.user_id}))
        evidence.believable &= asked.right
        return
    user = find_user(tx, reference)
    stored = None if user is None else user.password_hash
    evidence.proofs.append(Proof("password", partial(passwords.is_right, stored, reference.password)))
    evidence.claim(user)
    if user is not None:
        lockout.look_at(tx, call, user, evidence)
