"""Signing in by an identity provider: at its protocol's own address, and for browsers on the way to a dashboard."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound, Unauthorized
from stackyard.core.routes import PUBLIC, Route
from stackyard.services.identity.federation import assertion, dashboard, entry, tables, way_in
from stackyard.services.identity.federation.assertion import Assertion
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.tokens.sign_in import complete

METHODS = ("mapped", "saml2", "openid")
"""Methods that a token names a federated sign-in by: the protocol's own name where it is one of these."""


async def authenticate(call: Call) -> Reply:
    """A token for whoever the identity provider vouches for, not yet good for any project."""
    return await _token(call, call.path["idp_id"], await assertion.present(call))


async def _token(call: Call, idp_id: str, given: Assertion) -> Reply:
    protocol_id = call.path["protocol_id"]
    user, federation = await entry.sign_in(call, idp_id, protocol_id, given)
    method = protocol_id if protocol_id in METHODS else METHODS[0]
    return await complete(call, Evidence(methods=[method], user=user, federation=federation))


async def websso(call: Call) -> Response:
    """Sign in on the way to a dashboard, by whichever identity provider has the protocol and vouches."""
    given = await assertion.present(call)
    idp_id = await call.read("websso: identity provider", _vouching, call, given)
    return await _to_dashboard(call, idp_id, dashboard.origin(call), given)


async def websso_of_provider(call: Call) -> Response:
    """Sign in on the way to a dashboard, by one identity provider."""
    host = dashboard.origin(call)
    return await _to_dashboard(call, call.path["idp_id"], host, await assertion.present(call))


async def _to_dashboard(call: Call, idp_id: str, host: str, given: Assertion) -> Response:
    reply = await _token(call, idp_id, given)
    token = reply.headers.get("X-Subject-Token")
    if token is None:
        raise Unauthorized("This user must sign in with further methods, which a browser cannot do here.")
    template = call.runtime.settings.federation.sso_callback_template
    page: Any = await call.in_thread(dashboard.page, template, host, token)
    return page  # type: ignore[no-any-return]


def _vouching(tx: Transaction, call: Call, given: Assertion) -> str:
    """The identity provider whose remote id the assertion names."""
    remote_id = given.issuer
    for protocol in tx.all(tables.PROTOCOLS_NAMED, {"id": call.path["protocol_id"]}):
        name = way_in.remote_id_name(call, protocol)
        remote_id = remote_id or (given.text(name) if name else None)
    if not remote_id:
        raise Unauthorized("Missing entity ID from environment")
    row = tx.first(tables.BY_REMOTE_ID, {"remote_id": remote_id})
    if row is None:
        raise NotFound(f"Could not find Identity Provider: {remote_id}.")
    return str(row.idp_id)


def _routes() -> tuple[Route, ...]:
    of_provider = "identity_providers/{idp_id}/protocols/{protocol_id}"
    ways = (
        (f"/v3/OS-FEDERATION/{of_provider}/auth", authenticate),
        ("/v3/auth/OS-FEDERATION/websso/{protocol_id}", websso),
        (f"/v3/auth/OS-FEDERATION/{of_provider}/websso", websso_of_provider),
    )
    return tuple(
        Route(method, path, operation, PUBLIC, edge=True) for path, operation in ways for method in ("GET", "POST")
    )


ROUTES = _routes()
