"""Requests signed by OAuth 1.0a: who signed, and that it is so, by oauthlib. Each is good once, and for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity.credentials import used
from stackyard.services.identity.credentials.bodies import missing
from stackyard.services.identity.oauth1 import tables

if TYPE_CHECKING:
    from stackyard.services.identity.oauth1.validator import FindToken


def parameters(call: Call, *needed: str) -> dict[str, str]:
    """The OAuth parameters of the Authorization header; BadRequest without the header or one of those `needed`."""
    from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

    header = call.request.headers.get("authorization")
    if header is None:
        raise BadRequest("Error retrieving OAuth headers: the request has no Authorization header.")
    try:
        found = dict(parse_authorization_header(header))
    except ValueError:
        raise BadRequest("Error retrieving OAuth headers: the Authorization header is malformed.") from None
    for name in needed:
        if not found.get(name):
            raise missing(name, "request")
    return found


def verify(tx: Transaction, call: Call, find_token: FindToken | None = None) -> None:
    """Raise Unauthorized unless the request is signed by its consumer, and with its token where `find_token` finds it.

    Remembers it in this transaction, which so must be one that writes.
    """
    from oauthlib.oauth1 import ResourceEndpoint, SignatureOnlyEndpoint

    from stackyard.services.identity.oauth1.validator import Validator

    lifetime = call.runtime.settings.credential.signature_lifetime
    validator = Validator(tx, find_token, lifetime)
    check: Callable[..., tuple[bool, Any]] = SignatureOnlyEndpoint(validator).validate_request
    if find_token is not None:
        check = ResourceEndpoint(validator).validate_protected_resource_request
    headers = {"Authorization": call.request.headers["authorization"]}
    for url in _urls(call):
        try:
            valid, _ = check(url, http_method=call.request.method, body=None, headers=headers)
        except ValueError:  # what cannot be taken apart is not signed
            valid = False
        if valid:
            break
    else:
        raise Unauthorized("Invalid signature")
    given = parameters(call)
    good_until = datetime.fromtimestamp(int(given["oauth_timestamp"]) + lifetime, UTC)
    what = (given["oauth_consumer_key"], given.get("oauth_token", ""), given["oauth_timestamp"], given["oauth_nonce"])
    used.use(tx, good_until + timedelta(seconds=1), "oauth1", *what)


def _urls(call: Call) -> list[str]:
    """The address that the client signed: the cloud's public one, or the one that the request came to."""
    scope = call.request.scope
    query = scope.get("query_string", b"").decode("latin-1")
    public = f"{call.root_url}{scope['path']}" + (f"?{query}" if query else "")
    return list(dict.fromkeys((public, str(call.request.url))))


def find_request_token(tx: Transaction, token_id: str) -> Row[Any] | None:
    """A request token."""
    return tx.first(tables.REQUEST_BY_ID, {"id": token_id})


def find_access_token(tx: Transaction, token_id: str) -> Row[Any] | None:
    """An access token."""
    return tx.first(tables.ACCESS_BY_ID, {"id": token_id})
