"""What Keystone does for users on their way to other clouds by SAML; this cloud does not sign assertions."""

from __future__ import annotations

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotImplementedHere
from stackyard.core.routes import PUBLIC, Route

_TEXT = (
    "This cloud makes no SAML assertions: its users cannot go on to service providers by SAML. Let both clouds use the "
    "same identity provider instead, by OpenID Connect or an authenticating proxy."
)


def refuse(tx: Transaction, call: Call) -> None:
    """Say so."""
    del tx, call
    raise NotImplementedHere(_TEXT)


ROUTES = (
    Route("GET", "/v3/OS-FEDERATION/saml2/metadata", refuse, PUBLIC),
    Route("POST", "/v3/auth/OS-FEDERATION/saml2", refuse, PUBLIC, writes=False),
    Route("POST", "/v3/auth/OS-FEDERATION/saml2/ecp", refuse, PUBLIC, writes=False),
)
