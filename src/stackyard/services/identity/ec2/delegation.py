"""An EC2 credential as what a token acts through: all roles of its user on its project, or what it was lent itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.application_credentials import delegation as application_credential
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.credentials import keys, tables
from stackyard.services.identity.oauth1 import delegation as access_token
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.delegation import Delegation
from stackyard.services.identity.trusts import delegation as trust
from stackyard.services.identity.trusts import tables as trust_tables


def find(tx: Transaction, credential_id: str) -> Delegation | None:
    """The credential, unless it is gone, or what it rests on: a trust, an application credential, an access token."""
    row = tx.first(tables.BY_ID, {"id": credential_id})
    if row is None or row.type.lower() != tables.EC2:
        return None
    blob = json.loads(keys.unseal(tx, row.blob))
    found = _rests_on(tx, row, blob)
    if found is None or found.project_id != row.project_id:
        return None
    return replace(found, kind=payload.EC2_CREDENTIAL, id=row.id, unrestricted=False)


def _rests_on(tx: Transaction, row: Row[Any], blob: dict[str, Any]) -> Delegation | None:
    """What it lends; one of somebody else's, whose id its blob merely claims, lends nothing."""
    if blob.get("trust_id"):
        return trust.find(tx, blob["trust_id"]) if user_of(tx, row, blob) is not None else None
    if blob.get("app_cred_id"):
        return _own(application_credential.find(tx, blob["app_cred_id"]), row)
    if blob.get("access_token_id"):
        return _own(access_token.find(tx, blob["access_token_id"]), row)
    return _all_roles(tx, row)


def _own(found: Delegation | None, row: Row[Any]) -> Delegation | None:
    return found if found is not None and found.grantor_id == row.user_id else None


def _all_roles(tx: Transaction, row: Row[Any]) -> Delegation | None:
    project = tx.first(project_tables.BY_ID, {"id": row.project_id})
    if project is None:
        return None
    roles = effective.roles_of_user(tx, row.user_id, assignment_tables.PROJECT, project)
    return Delegation(
        kind=payload.EC2_CREDENTIAL,
        id=row.id,
        grantor_id=row.user_id,
        project_id=project.id,
        role_ids=frozenset(role.id for role in roles),
        body={},
    )


def user_of(tx: Transaction, row: Row[Any], blob: dict[str, Any]) -> str | None:
    """Whose tokens are got with a credential; None when its trust is nothing to its user.

    A trustee's keys act as the trustee, or as the trustor where the trust is for that; a trustor who claims the trust
    for keys of his own does not become the trustee by them.
    """
    if not blob.get("trust_id"):
        return str(row.user_id)
    found = tx.first(trust_tables.BY_ID, {"id": blob["trust_id"]})
    if found is None:
        return None
    if found.impersonation and row.user_id in (found.trustor_user_id, found.trustee_user_id):
        return str(found.trustor_user_id)
    return str(row.user_id) if row.user_id == found.trustee_user_id else None
