"""Key pairs: list, see, make or take over, delete. An administrator may do so for another user."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Query, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.paging import Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.keypairs import crypto, rows
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.tables import keypairs

KIND = "keypair"
RESOURCE = "compute.key_pairs"

_BASE = "os_compute_api:os-keypairs"
_OWN = f"{ADMIN} or user_id:%(user_id)s"
_INSERT = sa.insert(keypairs)
_DELETE = sa.delete(keypairs).where(keypairs.c.id == bindparam("key"))
_OF_USER = keypairs.c.user_id == bindparam("user")
_LISTING = Listing(
    keypairs, {}, default_sort=(("name", "asc"),), others=("user_id",), unknown="refuse", key="name",
    max_limit=lists.MAX_LIMIT,
)  # fmt: skip

_OldName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A(?! )[_\- a-zA-Z0-9]+(?<! )\Z")]
_Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A(?! )[_\-@. a-zA-Z0-9]+(?<! )\Z")]
_Key = Annotated[str, Meta(max_length=65535)]
_User = Annotated[str, Meta(max_length=64)]


class FirstKeypair(Body, kw_only=True):
    """POST /os-keypairs before 2.2; without a public key one is made."""

    name: _OldName
    public_key: _Key | UnsetType = UNSET


class TypedKeypair(FirstKeypair, kw_only=True):
    """The same since 2.2."""

    type: Literal["ssh", "x509"] = "ssh"


class UsersKeypair(TypedKeypair, kw_only=True):
    """The same since 2.10."""

    user_id: _User = ""


class ImportedKeypair(Body, kw_only=True):
    """The same since 2.92: keys are the user's to make."""

    name: _Name
    public_key: _Key
    type: Literal["ssh", "x509"] = "ssh"
    user_id: _User = ""


def body_of(version: Microversion | None) -> type[Body]:
    """The body of POST /os-keypairs at a microversion."""
    if version is None or version >= (2, 92):
        return ImportedKeypair
    if version >= (2, 10):
        return UsersKeypair
    return TypedKeypair if version >= (2, 2) else FirstKeypair


def _user(call: Call, rule: str) -> str:
    """Whose key pairs the query asks for; raises Forbidden."""
    asked = call.query.all("user_id") if call.since(2, 10) else []
    user_id = (asked[0] if asked else "") or call.caller.user_id
    call.require(f"{_BASE}:{rule}", {"user_id": user_id})
    return str(user_id)


def _view(call: Call, row: Any) -> dict[str, Any]:
    found = {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint}
    return found | {"type": row.type} if call.since(2, 2) else found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-keypairs; in pages since 2.35."""
    paged = call.since(2, 35)
    known = ("user_id", "limit", "marker") if paged else ("user_id",)
    query = lists.query_of(call, known, strict=call.since(2, 75))
    user_id = _user(call, "index")
    if paged and query.get("limit") is None:
        query = Query(urlencode([*query.pairs(), ("limit", str(lists.MAX_LIMIT))]))
    marker = query.get("marker")
    if marker is not None:
        try:
            rows.find(tx, user_id, marker)
        except NotFound:
            raise BadRequest(f"Marker {marker} could not be found.", kind="MarkerNotFound") from None
    page = _LISTING.page(tx, query, Scope("user", _OF_USER, {"user": user_id}))
    found = [{"keypair": _view(call, row)} for row in page.rows]
    return lists.page_of(call, "keypairs", found, "/os-keypairs", page.marker)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-keypairs/{name}."""
    lists.query_of(call, ("user_id",), strict=call.since(2, 75))
    row = rows.find(tx, _user(call, "show"), call.path["keypair_name"])
    dates = {"created_at": row.created_at.replace(tzinfo=None).isoformat(timespec="microseconds")}
    dates |= {"updated_at": None, "deleted_at": None, "deleted": False}
    return {"keypair": _view(call, row) | {"id": row.id, "user_id": row.user_id} | dates}


async def create(call: Call) -> Reply:
    """POST /os-keypairs; raises KeyPairExists, InvalidKeypair, OverQuota."""
    body = call.body
    user_id = getattr(body, "user_id", "") or call.caller.user_id
    call.require(f"{_BASE}:create", {"user_id": user_id})
    kind = getattr(body, "type", crypto.SSH)
    public, private = body.public_key, None
    if public is UNSET:
        private, public = await call.in_thread(crypto.generate, kind, user_id)
    values = {
        "user_id": user_id, "name": body.name, "type": kind, "public_key": public,
        "fingerprint": crypto.fingerprint(kind, public),
    }  # fmt: skip
    row = await call.write("create key pair", _insert, call, values)
    found = _view(call, row) | {"user_id": user_id}
    if private is not None:
        found["private_key"] = private
    return Reply({"keypair": found}, status=201 if call.since(2, 2) else 200)


def _insert(tx: Transaction, call: Call, values: dict[str, Any]) -> Any:
    user_id, name = values["user_id"], values["name"]
    # The project's limit holds for each of its users.
    call.runtime.quotas.reserve(tx, call.caller.project_id or "", {RESOURCE: 1}, counter=user_id)
    if rows.exists(tx, user_id, name):
        raise Conflict(f"Key pair '{name}' already exists.", kind="KeyPairExists")
    tx.execute(_INSERT, values | {"created_at": tx.now})
    timeline.record(tx, KIND, user_id, "created", name)
    return rows.find(tx, user_id, name)


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /os-keypairs/{name}; servers keep the key that they were made with."""
    lists.query_of(call, ("user_id",), strict=call.since(2, 75))
    user_id = _user(call, "delete")
    row = rows.find(tx, user_id, call.path["keypair_name"])
    tx.execute(_DELETE, {"key": row.id})
    call.runtime.quotas.release(tx, call.caller.project_id or "", {RESOURCE: 1}, counter=user_id)
    timeline.record(tx, KIND, user_id, "deleted", row.name)
    return Reply(status=204 if call.since(2, 2) else 202)


_ALL = "/v2.1/os-keypairs"
_ONE = "/v2.1/os-keypairs/{keypair_name}"

ROUTES = (
    Route("GET", _ALL, list_, f"{_BASE}:index", query=_LISTING.parameters),
    Route("POST", _ALL, create, f"{_BASE}:create", body=body_of, envelope="keypair", edge=True),
    Route("GET", _ONE, show, f"{_BASE}:show", query=("user_id",)),
    Route("DELETE", _ONE, delete, f"{_BASE}:delete", query=("user_id",)),
)

POLICIES = (
    Rule(f"{_BASE}:index", _OWN, "List a user's key pairs."),
    Rule(f"{_BASE}:create", _OWN, "Make a key pair, or import one's public key."),
    Rule(f"{_BASE}:show", _OWN, "See a key pair."),
    Rule(f"{_BASE}:delete", _OWN, "Delete a key pair."),
)
