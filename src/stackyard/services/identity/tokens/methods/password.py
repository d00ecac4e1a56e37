"""Sign in with a password."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.identity import passwords
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence, Proof, find_user
from stackyard.services.identity.users import lockout


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Find the user, and leave the password to be verified."""
    assert auth.identity.password is not UNSET  # noqa: S101 (`prepare` has looked)
    reference = auth.identity.password.user
    if not isinstance(reference.password, str):
        raise BadRequest("Expecting to find password in user. The password method needs one.")
    user = find_user(tx, reference)
    stored = None if user is None else user.password_hash
    evidence.proofs.append(Proof("password", partial(passwords.is_right, stored, reference.password)))
    evidence.claim(user)
    if user is not None:
        _look_at_lock(tx, call, user, evidence)


def _look_at_lock(tx: Transaction, call: Call, user: Row[Any], evidence: Evidence) -> None:
    rules = call.runtime.settings.password
    if rules.lockout_failure_attempts == 0 or user.options.get("ignore_lockout_failure_attempts"):
        return
    evidence.counted = user.id
    evidence.has_failures = lockout.has_failures(tx, rules, user.id)
    if lockout.is_locked(tx, rules, user):
        evidence.believable = False
