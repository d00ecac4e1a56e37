"""Sign in as an OAuth 1.0a consumer with an access token: the request to sign in is itself signed, in its header."""

from __future__ import annotations

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound, Unauthorized
from stackyard.services.identity.oauth1 import delegation, signed
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.users import tables as user_tables


async def prepare(call: Call, auth: Auth) -> str:
    """Verify the signature, which is good once; the answer is the id of the access token."""
    del auth
    token_id = signed.parameters(call, "oauth_consumer_key", "oauth_token")["oauth_token"]
    await call.write("sign in: OAuth signature", _verify, call, token_id)
    return token_id


def _verify(tx: Transaction, call: Call, token_id: str) -> None:
    row = signed.find_access_token(tx, token_id)
    if row is None:
        raise NotFound("Access token not found")
    if row.expires_at is not None and row.expires_at <= tx.now:
        raise Unauthorized("Access token is expired")
    signed.verify(tx, call, signed.find_access_token)


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """The user who authorised it, acting through it."""
    del call, auth
    found = delegation.find(tx, evidence.prepared["oauth1"])
    evidence.claim(None if found is None else tx.first(user_tables.BY_ID, {"id": found.grantor_id}))
    evidence.delegation = found
