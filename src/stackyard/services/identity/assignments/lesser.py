"""Whether a user or group has no roles but those that a domain's manager may give.

Who may set a user's password can sign in as that user, and who puts himself into a group has its roles: a domain's
manager who could do so with administrators would be one.
"""

from __future__ import annotations

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import effective, tables

LESSER = frozenset({"manager", "member", "reader"})


def has_lesser_roles_alone(tx: Transaction, kind: str, actor_id: str) -> bool:
    """Whether all roles of a user (its groups' with them) or group are lesser ones, and none is on the system."""
    by_user = kind == tables.USER
    groups = effective.group_ids(tx, actor_id) if by_user else [actor_id]
    found = tx.all(tables.OF_ACTORS, {"user_id": actor_id if by_user else "", "groups": groups})
    if any(row.target_kind == tables.SYSTEM for row in found):
        return False
    return {row.name for row in effective.roles_in_tokens(tx, {row.role_id for row in found})} <= LESSER
