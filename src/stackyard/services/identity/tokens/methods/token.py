"""Sign in with a token that one has, to get one for another scope."""

from __future__ import annotations

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound, Unauthorized
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.bodies import Auth, Scope
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.tokens.sessions import find_session


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Take over the token's user, methods and end.

    Raises NotFound for a token that is not good (as Keystone does), Forbidden for one that may not be exchanged.
    """
    assert auth.identity.token is not UNSET  # noqa: S101 (`prepare` has looked)
    exchange(tx, call, auth, auth.identity.token.id, evidence)


def exchange(tx: Transaction, call: Call, auth: Auth, text: str, evidence: Evidence) -> None:
    """Take over from a token, as `gather` says."""
    try:
        session = find_session(tx, text)
    except Unauthorized:
        raise NotFound("Failed to validate token") from None
    token = session.token
    elsewhere = isinstance(auth.scope, Scope) and (auth.scope.project is not UNSET or auth.scope.domain is not UNSET)
    if token.scope == payload.SYSTEM and elsewhere:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using a system-scoped token to create a "
            "project-scoped or domain-scoped token is not allowed."
        )
    if token.delegation:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using a delegated token to create another token "
            "is not allowed."
        )
    if token.scope != payload.UNSCOPED and not call.runtime.settings.token.allow_rescope_scoped_token:
        raise Forbidden("You are not authorized to perform the requested action: rescope a scoped token.")
    evidence.session = session
    evidence.federation = token.federation
    evidence.methods += [method for method in token.methods if method not in evidence.methods]
    evidence.limit(token.expires_at)
    evidence.claim(session.user)
