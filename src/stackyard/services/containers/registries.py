"""Private registries: where to pull from, and as whom. The password is kept encrypted and shown to nobody."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.ids import is_uuid, new_uuid
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.containers import vault
from stackyard.services.containers.containers.bodies import Name
from stackyard.services.containers.containers.finding import project_of
from stackyard.services.containers.containers.values import flag

registries = sa.Table(
    "container_registries",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("domain", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=True),
    sa.Column("password", sa.Text, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
)

_BY_UUID = sa.select(registries).where(registries.c.uuid == bindparam("uuid"))
_BY_NAME = sa.select(registries).where(registries.c.name == bindparam("name")).limit(2)
_BY_NAME_OF = _BY_NAME.where(registries.c.project_id == bindparam("project_id"))
_DELETE = sa.delete(registries).where(registries.c.uuid == bindparam("uuid"))

_Text = Annotated[str, Meta(min_length=1, max_length=255)]


class Fields(Body):
    """What a registry has; all may be left out but, on create, the domain."""

    name: Name | None = None
    domain: _Text | None = None
    username: _Text | None = None
    password: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None


LISTING = Listing(
    registries,
    {name: Filter(registries.c[name]) for name in ("name", "domain", "username", "project_id", "user_id")},
    sort_keys=("id", "uuid", "name", "domain", "username", "created_at"),
    default_sort=(("id", "asc"),),
    others=("all_projects", "resource_url"),
    unknown="refuse",
    page_size=1000,
    key="uuid",
)


def by_uuid(tx: Transaction, uuid: str) -> Row[Any] | None:
    """A registry's row."""
    return tx.first(_BY_UUID, {"uuid": uuid})


def find(tx: Transaction, call: Call, ident: str) -> Row[Any]:
    """By id or name; NotFound also for another project's, but not for an administrator."""
    everywhere = call.caller.is_admin
    if is_uuid(ident):
        row = by_uuid(tx, ident)
        if row is not None and (everywhere or row.project_id == call.caller.project_id):
            return row
        raise NotFound(f"Registry {ident} could not be found.", kind="RegistryNotFound")
    statement = _BY_NAME if everywhere else _BY_NAME_OF
    rows = tx.all(statement, {"name": ident, "project_id": call.caller.project_id})
    if len(rows) > 1:
        raise Conflict(f"Multiple registries exist with the name {ident}. Please use the uuid instead.")
    if not rows:
        raise NotFound(f"Registry {ident} could not be found.", kind="RegistryNotFound")
    return rows[0]


def load(tx: Transaction, call: Call) -> Row[Any]:
    """A route's target."""
    return find(tx, call, call.path["registry"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/registries."""
    scope = Scope(
        "project", registries.c.project_id == bindparam("own_project"), {"own_project": call.caller.project_id}
    )
    if flag("all_projects", call.query.get("all_projects")):
        call.require("registry:get_all_all_projects")
        scope = EVERYTHING
    page = LISTING.page(tx, call.query, scope)
    following = call.url(f"/v1/registries?limit={len(page.rows)}&marker={page.marker}") if page.marker else None
    return {"registries": [_view(call, row) for row in page.rows], "next": following}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/registries/{registry}."""
    del tx
    return {"registry": _view(call, call.target)}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /v1/registries."""
    body: Fields = call.body
    if body.domain is None:
        raise BadRequest("Invalid input for registry: 'domain' is a required property", kind="SchemaValidationError")
    row = {
        "uuid": new_uuid(),
        "project_id": project_of(call),
        "user_id": call.caller.user_id,
        "name": body.name,
        "domain": body.domain,
        "username": body.username,
        "password": vault.hide(call.runtime, body.password),
        "created_at": tx.now,
    }
    tx.execute(sa.insert(registries), row)
    made = by_uuid(tx, str(row["uuid"]))
    location = {"Location": call.url(f"/v1/registries/{row['uuid']}")}
    return Reply({"registry": _view(call, made)}, status=201, headers=location)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PATCH /v1/registries/{registry}."""
    changed = {name: value for name, value in call.body.given() if value is not None}
    if "password" in changed:
        changed["password"] = vault.hide(call.runtime, changed["password"])
    if changed:
        tx.execute(sa.update(registries).where(registries.c.uuid == call.target.uuid).values(**changed))
    return {"registry": _view(call, by_uuid(tx, call.target.uuid))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /v1/registries/{registry}: containers made from it stay."""
    tx.execute(_DELETE, {"uuid": call.target.uuid})


def _view(call: Call, row: Any) -> dict[str, Any]:
    return {
        "uuid": row.uuid,
        "links": [
            {"href": call.url(f"/v1/registries/{row.uuid}"), "rel": "self"},
            {"href": call.url(f"/registries/{row.uuid}"), "rel": "bookmark"},
        ],
        "user_id": row.user_id,
        "project_id": row.project_id,
        "name": row.name,
        "domain": row.domain,
        "username": row.username,
        "password": "***",
    }
