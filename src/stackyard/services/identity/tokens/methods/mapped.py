"""Sign in by an identity provider: with what it vouches for, or with a token of such a sign-in for another scope."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity.tokens.bodies import Auth, FederatedMethod
from stackyard.services.identity.tokens.evidence import Evidence, Method
from stackyard.services.identity.tokens.methods import token
from stackyard.services.identity.tokens.sessions import REFUSED, find_session


async def prepare(name: str, call: Call, auth: Auth) -> Any:
    """Find or make the user for whom an identity provider vouches; nothing where a token is given instead."""
    from stackyard.services.identity.federation import assertion, entry

    reference = _reference(name, auth)
    if reference.id is not UNSET:
        return None
    if reference.identity_provider is UNSET or reference.protocol is UNSET:
        missing = "identity_provider" if reference.identity_provider is UNSET else "protocol"
        raise BadRequest(f"Expecting to find {missing} in {name}.")
    given = await assertion.present(call)
    return await entry.sign_in(call, reference.identity_provider, reference.protocol, given)


def gather(name: str, tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Take over the user and where he signed in; Unauthorized for a token of another kind of sign-in."""
    reference = _reference(name, auth)
    if reference.id is UNSET:
        user, evidence.federation = evidence.prepared[name]
        evidence.claim(user)
        return
    token.exchange(tx, call, auth, reference.id, evidence)
    if find_session(tx, reference.id).token.federation is None:
        raise Unauthorized(REFUSED)


def _reference(name: str, auth: Auth) -> FederatedMethod:
    found: FederatedMethod = getattr(auth.identity, name)
    return found


METHODS: Mapping[str, Method] = {
    name: Method(partial(gather, name), partial(prepare, name)) for name in ("mapped", "saml2", "openid")
}
