"""The ways to sign in, by their names in `auth.identity.methods`."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity.directory import sign_in as directory
from stackyard.services.identity.tokens import receipts
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence, Method
from stackyard.services.identity.tokens.methods import application_credential, mapped, oauth1, password, token, totp
from stackyard.services.identity.tokens.sessions import REFUSED

METHODS: Mapping[str, Method] = {
    "password": Method(password.gather, prepare=directory.prepare),
    "token": Method(token.gather),
    "totp": Method(totp.gather),
    "application_credential": Method(application_credential.gather),
    "oauth1": Method(oauth1.gather, oauth1.prepare),
    **mapped.METHODS,
}


async def prepare(call: Call, auth: Auth) -> Evidence:
    """Check which methods are asked for, and let each do what it must before the transaction.

    Raises Unauthorized for an unknown method and for none, BadRequest for a method without its data.
    """
    evidence = Evidence()
    for name in dict.fromkeys(auth.identity.methods):
        method = METHODS.get(name)
        if method is None:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        if getattr(auth.identity, name) is UNSET:
            raise BadRequest(
                f"Expecting to find {name} in identity. The server could not comply with the request since it is "
                "either malformed or otherwise incorrect. The client is assumed to be in error."
            )
        evidence.methods.append(name)
        if method.prepare is not None:
            evidence.prepared[name] = await method.prepare(call, auth)
    if not evidence.methods:
        raise Unauthorized(REFUSED)
    return evidence


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> Evidence:
    """What the methods say once they have looked up what the sign-in refers to; a copy, since this may be run again.

    Each method raises what Keystone answers for what cannot be right.
    """
    gathered = Evidence(methods=list(evidence.methods), prepared=evidence.prepared)
    for name in evidence.methods:
        METHODS[name].gather(tx, call, auth, gathered)
    receipts.take(tx, call, gathered)
    return gathered
