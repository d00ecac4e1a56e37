"""Receipts: what proves, for a few minutes, that some of the methods a user needs have been used.

A sign-in that meets none of the user's multi-factor rules is answered with one; the client sends it back in
`Openstack-Auth-Receipt` together with the methods that are still missing. It is sealed like a token and is none.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.services.identity import fernet, generation
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import payload, revocations
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.tokens.payload import Receipt

HEADER = "Openstack-Auth-Receipt"


def take(tx: Transaction, call: Call, evidence: Evidence) -> None:
    """Add the methods of the receipt that the call brings, if it brings one.

    One that is forged, expired, of another user, or older than the user's password makes the evidence unbelievable.
    """
    text = call.request.headers.get(HEADER)
    if not text:
        return
    receipt = payload.unseal_receipt(fernet.cipher(tx, generation.current(tx)), text)
    if receipt is None or not _is_good(tx, receipt, evidence):
        evidence.believable = False
        return
    evidence.methods += [method for method in receipt.methods if method not in evidence.methods]


def _is_good(tx: Transaction, receipt: Receipt, evidence: Evidence) -> bool:
    if receipt.expires_at <= tx.now or evidence.user is None or evidence.user.id != receipt.user_id:
        return False
    return not revocations.is_revoked_of_user(tx, receipt.user_id, receipt.issued_at)


def issue(tx: Transaction, call: Call, user: Row[Any], methods: list[str], required: list[list[str]]) -> Reply:
    """The answer to a sign-in that is good as far as it goes; `required` are the rules that it could complete."""
    lifetime = timedelta(seconds=call.runtime.settings.token.receipt_lifetime)
    expires_at = (tx.now + lifetime).replace(microsecond=0)
    receipt = Receipt(user_id=user.id, methods=tuple(methods), issued_at=tx.now, expires_at=expires_at)
    text = payload.seal_receipt(fernet.cipher(tx, generation.current(tx)), receipt)
    domain = tx.first(project_tables.BY_ID, {"id": user.domain_id})
    body = {
        "receipt": {
            "methods": methods,
            "user": {
                "id": user.id,
                "name": user.name,
                "domain": {"id": user.domain_id, "name": None if domain is None else domain.name},
            },
            "expires_at": iso_micro(expires_at),
            "issued_at": iso_micro(tx.now),
        },
        "required_auth_methods": required,
    }
    return Reply(body, status=401, headers={HEADER: text, "Vary": "X-Auth-Token"})
