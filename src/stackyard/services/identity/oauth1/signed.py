"""Requests signed by OAuth 1.0a: who signed, and that it is so, by oauthlib. Each is good once, and for a while."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.services.identity.credentials import keys, used
from stackyard.services.identity.credentials.bodies import missing
from stackyard.services.identity.oauth1 import tables

if TYPE_CHECKING:
    from oauthlib.oauth1 import RequestValidator

METHODS = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512")
_HEX = frozenset("0123456789abcdef")
_WORD = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.")
_LONGEST_NONCE = 128
_NOBODY = "0" * 32
"""Stands for an unknown consumer or token, so that verifying takes as long as for a known one."""

_NOBODYS_SECRET = secrets.token_hex(16)
FindToken = Callable[[Transaction, str], "Row[Any] | None"]


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

    lifetime = call.runtime.settings.credential.signature_lifetime
    validator = _validator(tx, find_token, lifetime)
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


def _validator(tx: Transaction, find_token: FindToken | None, lifetime: int) -> RequestValidator:
    """What oauthlib asks about consumers and tokens; made here, as oauthlib is imported when it is needed."""
    from oauthlib.oauth1 import RequestValidator

    class Validator(RequestValidator):
        enforce_ssl = False
        allowed_signature_methods = METHODS
        timestamp_lifetime = lifetime
        dummy_client = dummy_access_token = _NOBODY

        def check_client_key(self, client_key: str) -> bool:
            return len(client_key) == len(_NOBODY) and set(client_key) <= _HEX

        def check_access_token(self, request_token: str) -> bool:
            return self.check_client_key(request_token)

        def check_nonce(self, nonce: str) -> bool:
            return 0 < len(nonce) <= _LONGEST_NONCE and set(nonce) <= _WORD

        def validate_timestamp_and_nonce(self, *_: Any, **__: Any) -> bool:
            return True  # the time is checked before this, the nonce after the signature

        def validate_client_key(self, client_key: str, request: Any) -> bool:
            del request
            return tx.first(tables.CONSUMER_BY_ID, {"id": client_key}) is not None

        def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
            del request
            row = find_token(tx, token) if find_token is not None else None
            return row is not None and bool(row.consumer_id == client_key)

        def validate_realms(self, *_: Any, **__: Any) -> bool:
            return True

        def get_client_secret(self, client_key: str, request: Any) -> str:
            del request
            return _secret(tx, tx.first(tables.CONSUMER_BY_ID, {"id": client_key}))

        def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
            del client_key, request
            return _secret(tx, find_token(tx, token) if find_token is not None else None)

    return Validator()


def _secret(tx: Transaction, row: Row[Any] | None) -> str:
    return _NOBODYS_SECRET if row is None else keys.unseal(tx, row.secret)


def find_request_token(tx: Transaction, token_id: str) -> Row[Any] | None:
    """A request token."""
    return tx.first(tables.REQUEST_BY_ID, {"id": token_id})


def find_access_token(tx: Transaction, token_id: str) -> Row[Any] | None:
    """An access token."""
    return tx.first(tables.ACCESS_BY_ID, {"id": token_id})
