"""An access token as what a token acts through."""

from __future__ import annotations

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.oauth1 import tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.delegation import Delegation


def find(tx: Transaction, access_token_id: str) -> Delegation | None:
    """The access token, unless it is gone or over; it lends those of its roles that its user still has."""
    row = tx.first(tables.ACCESS_BY_ID, {"id": access_token_id})
    if row is None or (row.expires_at is not None and row.expires_at <= tx.now):
        return None
    project = tx.first(project_tables.BY_ID, {"id": row.project_id})
    if project is None:
        return None
    lent = {role.id for role in effective.roles_in_tokens(tx, row.role_ids)}
    had = {role.id for role in effective.roles_of_user(tx, row.user_id, assignment_tables.PROJECT, project)}
    return Delegation(
        kind=payload.ACCESS_TOKEN,
        id=row.id,
        grantor_id=row.user_id,
        project_id=row.project_id,
        role_ids=frozenset(lent & had),
        body={"OS-OAUTH1": {"access_token_id": row.id, "consumer_id": row.consumer_id}},
        expires_at=row.expires_at,
    )
