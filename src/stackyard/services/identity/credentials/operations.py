"""Credentials: list, show, create, update, delete. Whoever may see a credential sees its blob too."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.body import convert
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Route
from stackyard.services.identity import attributes
from stackyard.services.identity.credentials import keys, store, tables
from stackyard.services.identity.credentials.bodies import FIXED, CredentialChange, NewCredential, ec2_blob
from stackyard.services.identity.credentials.tables import credentials
from stackyard.services.identity.listing import collection
from stackyard.services.identity.policies import ADMIN, SYSTEM_READER

LISTING = Listing(credentials, {"user_id": Filter(credentials.c.user_id), "type": Filter(credentials.c.type)})
_OWN = credentials.c.user_id == sa.bindparam("owner")
_NOBODY = {"target.credential.user_id": None}


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The credential that the path names, and what rules look at; without it only who may see all learns of that."""
    row = tx.first(tables.BY_ID, {"id": call.path["credential_id"]})
    return {"credential": row, **(_described(row) if row is not None else {})}


def load_own(tx: Transaction, call: Call) -> dict[str, Any]:
    """For a list: the caller's own credentials, unless the caller looks at the system as a whole."""
    del tx
    return {} if call.caller.system_scope else {"target.credential.user_id": call.caller.user_id}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """For creation: what the body says."""
    del tx
    names = ("user_id", "project_id", "type")
    return {f"target.credential.{name}": call.body.get(name) for name in names if call.body.get(name)}


def _described(row: Row[Any]) -> dict[str, Any]:
    return {f"target.credential.{name}": row._mapping[name] for name in ("id", "user_id", "project_id", "type")}


def refuse_delegated(call: Call) -> None:
    """Raise Forbidden for a token that acts through a trust, an application credential, an EC2 or OAuth credential.

    A credential outlives what a token was lent for, so that none may make, see or change one.
    """
    if call.caller.delegation is not None:
        raise Forbidden(
            "You are not authorized to perform the requested action: Delegated tokens cannot access credentials "
            "directly."
        )


def _the_credential(call: Call) -> Row[Any]:
    row: Row[Any] | None = call.target["credential"]
    if row is None:
        raise NotFound(f"Could not find credential: {call.path['credential_id']}.")
    refuse_delegated(call)
    return row


def _view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "type": row.type,
        "blob": keys.unseal(tx, row.blob),
        "links": {"self": call.url(f"/v3/credentials/{row.id}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The credentials that the caller may see one by one."""
    refuse_all = call.caller.delegation is not None
    scope = EVERYTHING
    if not call.allows("identity:get_credential", _NOBODY):
        scope = Scope("own", _OWN, {"owner": call.caller.user_id})
    page = LISTING.page(tx, call.query, scope)
    rows = [] if refuse_all else [row for row in page.rows if call.allows("identity:get_credential", _described(row))]
    return collection(call, "credentials", [_view(tx, call, row) for row in rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One credential."""
    return {"credential": _view(tx, call, _the_credential(call))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a credential. An EC2 one is found by its access key, so that its id is that key's hash."""
    asked, extra = attributes.read(call.body, NewCredential, "credential")
    asked.check()
    refuse_delegated(call)
    credential_id = store.id_of_access_key(ec2_blob(asked.blob)["access"]) if asked.is_ec2 else new_hex()
    values = {
        "id": credential_id,
        "user_id": asked.user_id,
        "project_id": asked.project_id or None,
        "type": asked.type,
        "extra": extra,
    }
    return {"credential": _view(tx, call, store.add(tx, call, values, asked.blob))}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a credential's blob."""
    row = _the_credential(call)
    asked = convert(call.body, CredentialChange, "credential")
    asked.check(row._asdict())
    if row.type.lower() == tables.EC2:
        old, new = ec2_blob(keys.unseal(tx, row.blob)), ec2_blob(asked.blob)
        for name in FIXED:
            if old.get(name) != new.get(name):
                raise BadRequest(f"{name} can not be updated for credential")
    tx.execute(tables.SET_BLOB, {"key": row.id, "sealed": keys.seal(tx, asked.blob)})
    changed = tx.first(tables.BY_ID, {"id": row.id})
    assert changed is not None  # noqa: S101 (updated above)
    return {"credential": _view(tx, call, changed)}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a credential; tokens got with it end."""
    tx.execute(tables.DELETE, {"id": _the_credential(call).id})


_OWNER = "user_id:%(target.credential.user_id)s"
SEE = f"{ADMIN} or {SYSTEM_READER} or {_OWNER}"

POLICIES = (
    Rule("identity:get_credential", SEE, "See a credential, with what is secret of it.", ANY_SCOPE),
    Rule("identity:list_credentials", SEE, "List credentials.", ANY_SCOPE),
    Rule("identity:create_credential", f"{ADMIN} or {_OWNER}", "Make a credential.", ANY_SCOPE),
    Rule("identity:update_credential", f"{ADMIN} or {_OWNER}", "Change a credential.", ANY_SCOPE),
    Rule("identity:delete_credential", f"{ADMIN} or {_OWNER}", "Delete a credential.", ANY_SCOPE),
)

_ONE = "/v3/credentials/{credential_id}"
_BODY = {"body": dict, "envelope": "credential"}

ROUTES = (
    Route("GET", "/v3/credentials", list_, "identity:list_credentials", target=load_own, query=LISTING.parameters),
    Route(
        "POST",
        "/v3/credentials",
        create,
        "identity:create_credential",
        target=load_new,
        status=201,
        schema=NewCredential,
        **_BODY,
    ),
    Route("GET", _ONE, show, "identity:get_credential", target=load),
    Route("PATCH", _ONE, update, "identity:update_credential", target=load, schema=CredentialChange, **_BODY),
    Route("DELETE", _ONE, delete, "identity:delete_credential", target=load),
)
