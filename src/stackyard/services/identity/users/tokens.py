"""DELETE /v3/users/{user_id}/tokens: end every token of a user."""

from __future__ import annotations

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.identity.targets import the
from stackyard.services.identity.tokens import revocations


def revoke_all(tx: Transaction, call: Call) -> None:
    """Revoke them."""
    revocations.revoke(tx, user_id=the(call, "user").id)
