"""How a consumer gets an access token: asks for a request token, has a user authorise it, exchanges it."""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound, Unauthorized
from stackyard.core.ids import new_hex
from stackyard.services.identity import changes
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.credentials import keys
from stackyard.services.identity.credentials.bodies import missing
from stackyard.services.identity.oauth1 import signed, tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.roles import references
from stackyard.services.identity.roles.references import RoleReference

_VERIFIER_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VERIFIER_LENGTH = 8


class Authorization(Body):
    """Which roles the consumer is to have."""

    roles: list[RoleReference] = []


async def create_request_token(call: Call) -> Reply:
    """A token for a consumer to send its user with; the request is signed by the consumer."""
    given = signed.parameters(call, "oauth_consumer_key")
    project_id = call.request.headers.get("requested-project-id")
    if not project_id:
        raise missing("Requested-Project-Id", "request")
    return await call.write("OAuth request token", _create_request_token, call, given, project_id)


def _create_request_token(tx: Transaction, call: Call, given: dict[str, str], project_id: str) -> Reply:
    signed.verify(tx, call)
    if tx.first(project_tables.BY_ID, {"id": project_id}) is None:
        raise NotFound(f"Could not find project: {project_id}.")
    tx.execute(tables.PRUNE_REQUESTS, {"now": tx.now})
    token_id, secret = new_hex(), new_hex()
    duration = call.runtime.settings.oauth1.request_token_duration
    values: dict[str, Any] = {
        "id": token_id,
        "secret": keys.seal(tx, secret),
        "consumer_id": given["oauth_consumer_key"],
        "project_id": project_id,
        "user_id": None,
        "role_ids": [],
        "verifier": None,
        "expires_at": tx.now + timedelta(seconds=duration) if duration else None,
    }
    tx.execute(tables.INSERT_REQUEST, values)
    return _form(token_id, secret, values["expires_at"])


def _form(token_id: str, secret: str, expires_at: Any) -> Reply:
    text = f"oauth_token={token_id}&oauth_token_secret={secret}"
    if expires_at is not None:
        text += f"&oauth_expires_at={iso_micro(expires_at)}"
    return Reply(text.encode(), status=201, media_type="application/x-www-form-urlencoded")


def authorize(tx: Transaction, call: Call) -> dict[str, Any]:
    """A user lends some of his roles to whoever has the request token and what this answers."""
    references.check(call.body.roles)
    if call.caller.delegation is not None:
        raise Forbidden("Cannot authorize a request token with a token issued via delegation.")
    row = _request_token(tx, call.path["request_token_id"])
    asked = references.ids_of(tx, call.body.roles)
    project = tx.first(project_tables.BY_ID, {"id": row.project_id})
    user_id = call.caller.user_id
    had = [] if project is None else effective.roles_of_user(tx, user_id, assignment_tables.PROJECT, project)
    if not asked <= {role.id for role in had}:
        raise Unauthorized("authorizing user does not have role required")
    verifier = "".join(secrets.choice(_VERIFIER_CHARACTERS) for _ in range(_VERIFIER_LENGTH))
    values = {"key": row.id, "by": user_id, "roles": sorted(asked), "sealed_verifier": keys.seal(tx, verifier)}
    tx.execute(tables.AUTHORIZE, values)
    return {"token": {"oauth_verifier": verifier}}


def _request_token(tx: Transaction, token_id: str) -> Row[Any]:
    row = signed.find_request_token(tx, token_id)
    if row is None:
        raise NotFound("Request token not found")
    if row.expires_at is not None and row.expires_at <= tx.now:
        raise Unauthorized("Request token is expired")
    return row


async def create_access_token(call: Call) -> Reply:
    """Exchange an authorised request token; the request is signed by the consumer and with the token."""
    given = signed.parameters(call, "oauth_consumer_key", "oauth_token", "oauth_verifier")
    return await call.write("OAuth access token", _create_access_token, call, given)


def _create_access_token(tx: Transaction, call: Call, given: dict[str, str]) -> Reply:
    row = _request_token(tx, given["oauth_token"])
    signed.verify(tx, call, signed.find_request_token)
    verifier = None if row.verifier is None else keys.unseal(tx, row.verifier)
    if verifier is None or not hmac.compare_digest(verifier.encode(), given["oauth_verifier"].encode()):
        raise Unauthorized("Provided verifier does not match stored verifier")
    if tx.execute(tables.DELETE_REQUEST, {"id": row.id}).rowcount == 0:
        raise NotFound("Request token not found")
    token_id, secret = new_hex(), new_hex()
    duration = call.runtime.settings.oauth1.access_token_duration
    values: dict[str, Any] = {
        "id": token_id,
        "secret": keys.seal(tx, secret),
        "consumer_id": row.consumer_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "role_ids": row.role_ids,
        "expires_at": tx.now + timedelta(seconds=duration) if duration else None,
    }
    tx.execute(tables.INSERT_ACCESS, values)
    changes.note(tx, call, "access token", token_id)
    return _form(token_id, secret, values["expires_at"])
