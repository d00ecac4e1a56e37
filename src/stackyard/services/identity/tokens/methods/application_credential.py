"""Sign in with an application credential."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity import passwords
from stackyard.services.identity.application_credentials import delegation, tables
from stackyard.services.identity.tokens.bodies import Auth, CredentialMethod
from stackyard.services.identity.tokens.evidence import Evidence, Proof, find_user
from stackyard.services.identity.users import tables as user_tables


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Find the credential and its user, and leave the secret to be verified."""
    del call
    assert auth.identity.application_credential is not UNSET  # noqa: S101 (`prepare` has looked)
    if auth.scope is not UNSET:
        raise Unauthorized(
            "Error authenticating with application credential: Application credentials cannot request a scope."
        )
    reference = auth.identity.application_credential
    row = _find(tx, reference)
    stored = None if row is None else row.secret_hash
    evidence.proofs.append(Proof("application_credential", partial(passwords.is_right, stored, reference.secret)))
    evidence.claim(None if row is None else tx.first(user_tables.BY_ID, {"id": row.user_id}))
    if row is not None:
        evidence.delegation = delegation.find(tx, row.id)
        evidence.believable &= evidence.delegation is not None


def _find(tx: Transaction, reference: CredentialMethod) -> Row[Any] | None:
    if reference.id is not UNSET:
        return tx.first(tables.BY_ID, {"id": reference.id})
    if reference.name is UNSET:
        raise BadRequest("Expecting to find name or ID in application credential.")
    if reference.user is UNSET:
        raise BadRequest("Expecting to find user in application credential, which is not given by ID.")
    user = find_user(tx, reference.user)
    if user is None:
        return None
    return tx.first(tables.BY_NAME, {"user_id": user.id, "name": reference.name})
