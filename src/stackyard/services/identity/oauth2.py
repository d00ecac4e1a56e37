"""OAuth 2.0's client credentials grant: an application credential's id and secret for a token, in a form.

Errors have OAuth's shape (RFC 6749), not Keystone's. Certificates as credentials are not taken.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from stackyard.core.body import convert
from stackyard.core.call import Call, Reply
from stackyard.core.dispatch import read_body
from stackyard.core.errors import BadRequest, Unauthorized
from stackyard.core.routes import PUBLIC, Route
from stackyard.services.identity import passwords
from stackyard.services.identity.tokens import methods, sign_in
from stackyard.services.identity.tokens.bodies import Auth

LONGEST_FORM = 16 * 1024
_FAILED = "Client authentication failed."
_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _refusal(call: Call, status: int, error: str, description: str) -> Reply:
    headers = dict(_NOT_STORED)
    if status == Unauthorized.status:
        headers["WWW-Authenticate"] = f'Keystone uri="{call.url("/v3")}"'
    return Reply({"error": error, "error_description": description}, status=status, headers=headers)


async def create(call: Call) -> Reply:
    """Issue a token on an application credential."""
    form = parse_qs((await read_body(call.request, LONGEST_FORM)).decode("latin-1"))
    granted = form.get("grant_type", [""])[0]
    if not granted:
        return _refusal(call, 400, "invalid_request", "The parameter grant_type is required.")
    if granted != "client_credentials":
        return _refusal(call, 400, "unsupported_grant_type", "Only the grant_type client_credentials is supported.")
    client_id, secret = _client(call, form)
    if not client_id or not secret or "\x00" in client_id:
        return _refusal(call, 401, "invalid_client", _FAILED)
    try:
        signed_in = await _sign_in(call, client_id, secret)
    except Unauthorized:
        return _refusal(call, 401, "invalid_client", _FAILED)
    except BadRequest as error:
        return _refusal(call, 400, "invalid_request", error.message)
    token = signed_in.headers.get("X-Subject-Token")
    if token is None:  # the user's rules ask for further methods, which this grant has no room for
        return _refusal(call, 401, "invalid_client", _FAILED)
    lifetime = call.runtime.settings.token.lifetime
    return Reply({"access_token": token, "token_type": "Bearer", "expires_in": lifetime}, headers=_NOT_STORED)


def _client(call: Call, form: dict[str, list[str]]) -> tuple[str, str]:
    """The client's id and secret: of HTTP's basic authentication, else of the form."""
    kind, _, encoded = call.request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", [""])[0], form.get("client_secret", [""])[0]
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


async def _sign_in(call: Call, client_id: str, secret: str) -> Reply:
    document: dict[str, Any] = {
        "identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": client_id, "secret": secret},
        }
    }
    auth = convert(document, Auth, "auth")
    auth.check()
    passwords.on_behalf_of(call.request)
    evidence = await methods.prepare(call, auth)
    evidence = await call.read("sign in: look up", methods.gather, call, auth, evidence)
    await sign_in.verify(call, evidence)
    return await sign_in.complete(call, evidence, auth.scope)


ROUTES = (Route("POST", "/v3/OS-OAUTH2/token", create, PUBLIC, edge=True),)
