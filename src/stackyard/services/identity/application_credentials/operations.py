"""Application credentials: list, show, create, delete. Creation is an edge operation, for the secret's sake."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Listing, Scope
from stackyard.services.identity import attributes, changes, passwords, targets
from stackyard.services.identity.application_credentials import access_rules, tables
from stackyard.services.identity.application_credentials.bodies import NewApplicationCredential, RoleReference
from stackyard.services.identity.application_credentials.refusals import refuse_delegated, refuse_restricted
from stackyard.services.identity.application_credentials.tables import credentials
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.listing import collection, texts
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.targets import the
from stackyard.services.identity.tokens.sessions import find_session
from stackyard.services.identity.users import tables as user_tables

LISTING = Listing(credentials, texts("name", credentials.c.name), sort_keys=("name",))
_OWN = credentials.c.user_id == sa.bindparam("owner")
_INSERT = sa.insert(credentials)
_INSERT_ROLE = sa.insert(tables.credential_roles)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The credential, and as the user that the rules look at its real owner, whatever the path says."""
    row = tx.first(tables.BY_ID, {"id": call.path["credential_id"]})
    owner = call.path["user_id"] if row is None else row.user_id
    found = targets.describe("user", tx.first(user_tables.BY_ID, {"id": owner}))
    return found | {"credential": row}


def _the_credential(call: Call) -> Row[Any]:
    refuse_delegated(call)
    row: Row[Any] | None = call.target["credential"]
    if row is None or row.user_id != call.path["user_id"]:
        raise NotFound(f"Could not find Application Credential: {call.path['credential_id']}.")
    return row


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """A user's application credentials."""
    refuse_delegated(call)
    page = LISTING.page(tx, call.query, Scope("of user", _OWN, {"owner": the(call, "user").id}))
    return collection(call, "application_credentials", [_view(tx, call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One application credential."""
    return {"application_credential": _view(tx, call, _the_credential(call))}


def _view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    ids = [found.role_id for found in tx.all(tables.ROLE_IDS, {"id": row.id})]
    roles = tx.all(role_tables.BY_IDS, {"ids": ids}) if ids else []
    body = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "unrestricted": row.unrestricted,
        "expires_at": None if row.expires_at is None else iso_micro(row.expires_at)[:-1],
        "roles": [{"id": role.id, "name": role.name, "domain_id": role.domain_id or None} for role in roles],
        "system": None,
        "links": {"self": call.url(f"/v3/users/{row.user_id}/application_credentials/{row.id}")},
    }
    if row.has_access_rules:
        rules = tx.all(tables.RULES, {"id": row.id})
        body["access_rules"] = [access_rules.plain_view(rule) for rule in rules]
    return body


async def create(call: Call) -> dict[str, Any]:
    """Make an application credential for the caller's project, with roles that the caller's token has."""
    asked, _ = attributes.read(call.body, NewApplicationCredential, "application_credential")
    if asked.secret:
        secret, hashed = asked.secret, await passwords.in_pool(passwords.hash_password, asked.secret)
    else:
        secret = base64.urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b"=").decode()
        hashed = passwords.digest_secret(secret)
    body = await call.write("create application credential", _create, call, asked, hashed)
    body["secret"] = secret
    return {"application_credential": body}


def _create(tx: Transaction, call: Call, asked: NewApplicationCredential, hashed: str) -> dict[str, Any]:
    refuse_delegated(call)
    refuse_restricted(call)
    user = the(call, "user")
    if call.caller.project_id is None:
        raise Forbidden("An application credential is made with a token for the project that it is to be good for.")
    role_ids = _roles(tx, call, asked.roles)
    if tx.first(tables.BY_NAME, {"user_id": user.id, "name": asked.name}) is not None:
        raise Conflict(
            "Conflict occurred attempting to store application_credential - Duplicate entry found with name "
            f"{asked.name}."
        )
    credential_id = new_hex()
    values = {
        "id": credential_id,
        "name": asked.name,
        "user_id": user.id,
        "project_id": call.caller.project_id,
        "description": asked.description,
        "secret_hash": hashed,
        "unrestricted": bool(asked.unrestricted),
        "expires_at": asked.expiry(tx.now),
        "created_at": tx.now,
        "has_access_rules": bool(asked.access_rules),
    }
    tx.execute(_INSERT, values)
    for role_id in role_ids:
        tx.execute(_INSERT_ROLE, {"credential_id": credential_id, "role_id": role_id})
    access_rules.attach(tx, user.id, credential_id, asked.access_rules or [])
    access_rules.check_within(tx, call, credential_id)
    changes.note(tx, call, "application credential", credential_id)
    made = tx.first(tables.BY_ID, {"id": credential_id})
    assert made is not None  # noqa: S101 (inserted above)
    return _view(tx, call, made)


def _roles(tx: Transaction, call: Call, asked: list[RoleReference]) -> list[str]:
    """The ids of the roles asked for with those they imply, each of which the caller's token must have."""
    held = {role_id for role_id, _ in find_session(tx, call.request.headers["x-auth-token"]).roles}
    if not asked:
        return sorted(held)
    ids = []
    for reference in asked:
        if isinstance(reference.id, str):
            row = tx.first(role_tables.BY_ID, {"id": reference.id})
        else:
            row = tx.first(role_tables.BY_NAME, {"domain_id": role_tables.GLOBAL, "name": reference.name or None})
        if row is None:
            raise NotFound(f"Could not find role: {reference.id or reference.name}.")
        ids.append(row.id)
    wanted = sorted(effective.expand(tx, ids))
    if not set(wanted) <= held:
        raise BadRequest("Invalid application credential: Cannot create an application credential with unassigned role")
    return wanted


def delete(tx: Transaction, call: Call) -> None:
    """Delete an application credential; tokens got with it end."""
    row = _the_credential(call)
    refuse_restricted(call)
    tx.execute(tables.DELETE, {"id": row.id})
