"""Which tokens may not manage application credentials and access rules."""

from __future__ import annotations

from stackyard.core.call import Call
from stackyard.core.errors import Forbidden
from stackyard.services.identity.tokens import payload


def refuse_delegated(call: Call) -> None:
    """Raise Forbidden for a token that acts through a trust, an EC2 or OAuth credential.

    An application credential outlives them, and does not say through whom it came about.
    """
    if call.caller.delegation not in (None, payload.APPLICATION_CREDENTIAL):
        raise Forbidden("Cannot manage application credentials with a token issued via delegation.")


def refuse_restricted(call: Call) -> None:
    """Raise Forbidden for a token of an application credential that may not manage others."""
    if not call.caller.unrestricted:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using method 'application_credential' is not "
            "allowed for managing additional application credentials."
        )
