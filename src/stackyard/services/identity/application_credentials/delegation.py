"""An application credential as what a token acts through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.caller import AccessRule
from stackyard.core.db import Transaction
from stackyard.services.identity.application_credentials import tables
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.delegation import Delegation


def find(tx: Transaction, credential_id: str) -> Delegation | None:
    """The credential, unless it is gone or expired."""
    row = tx.first(tables.BY_ID, {"id": credential_id})
    if row is None or (row.expires_at is not None and row.expires_at <= tx.now):
        return None
    rules = tx.all(tables.RULES, {"id": row.id}) if row.has_access_rules else None
    return Delegation(
        kind=payload.APPLICATION_CREDENTIAL,
        id=row.id,
        grantor_id=row.user_id,
        project_id=row.project_id,
        role_ids=frozenset(found.role_id for found in tx.all(tables.ROLE_IDS, {"id": row.id})),
        unrestricted=row.unrestricted,
        access_rules=None if rules is None else tuple(AccessRule(r.service, r.method, r.path) for r in rules),
        body={"application_credential": _body(row, rules)},
        caller={"application_credential_id": row.id},
        expires_at=row.expires_at,
    )


def _body(row: Row[Any], rules: Sequence[Row[Any]] | None) -> dict[str, Any]:
    body = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
    if rules is not None:
        body["access_rules"] = [
            {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path} for rule in rules
        ]
    return body
