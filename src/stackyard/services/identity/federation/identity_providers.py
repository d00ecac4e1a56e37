"""Identity providers: who vouches for users. Each has a domain, which its users are in unless a mapping says more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Moment, Transaction
from stackyard.core.errors import Conflict, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing
from stackyard.core.routes import Route
from stackyard.services.identity import changes
from stackyard.services.identity.federation import removal, tables
from stackyard.services.identity.federation.bodies import NewProvider, ProviderChange, check_id, check_something
from stackyard.services.identity.federation.tables import memberships, providers, remote_ids
from stackyard.services.identity.listing import collection, switch
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.users.operations import check_domain

LISTING = Listing(providers, {"id": Filter(providers.c.id), "enabled": Filter(providers.c.enabled, read=switch)})
_INSERT = sa.insert(providers)
_UPDATE = sa.update(providers).where(providers.c.id == bindparam("key"))
_ADD_REMOTE_ID = sa.insert(remote_ids)
_DROP_REMOTE_IDS = sa.delete(remote_ids).where(remote_ids.c.idp_id == bindparam("idp"))
_MEMBERSHIPS = sa.select(memberships).where(memberships.c.idp_id == bindparam("idp"))
_EXPIRE = (
    sa.update(memberships)
    .where(
        memberships.c.idp_id == bindparam("idp"),
        memberships.c.user_id == bindparam("user"),
        memberships.c.group_id == bindparam("member_of"),
    )
    .values(expires_at=bindparam("end", type_=Moment))
)


def find_provider(tx: Transaction, idp_id: str) -> Row[Any]:
    """An identity provider's row; raises NotFound."""
    row = tx.first(tables.PROVIDER_BY_ID, {"id": idp_id})
    if row is None:
        raise NotFound(f"Could not find Identity Provider: {idp_id}.")
    return row


def lifetime(call: Call, authorization_ttl: int | None) -> timedelta:
    """How long a provider's word on groups holds after a sign-in, where no token says so itself."""
    minutes = authorization_ttl or call.runtime.settings.federation.default_authorization_ttl
    return timedelta(minutes=min(minutes, 60 * 24 * 365 * 100))


def _views(tx: Transaction, call: Call, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    ids: dict[str, list[str]] = {row.id: [] for row in rows}
    if ids:
        for found in tx.all(tables.REMOTE_IDS, {"ids": sorted(ids)}):
            ids[found.idp_id].append(found.remote_id)
    return [_view(call, row, ids[row.id]) for row in rows]


def _view(call: Call, row: Row[Any], ids: list[str]) -> dict[str, Any]:
    link = call.url(f"/v3/OS-FEDERATION/identity_providers/{row.id}")
    return {
        "id": row.id,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "description": row.description,
        "authorization_ttl": row.authorization_ttl,
        "remote_ids": ids,
        "links": {"self": link, "protocols": f"{link}/protocols"},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Identity providers."""
    page = LISTING.page(tx, call.query)
    return collection(call, "identity_providers", _views(tx, call, page.rows), page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One identity provider."""
    return {"identity_provider": _views(tx, call, [find_provider(tx, call.path["idp_id"])])[0]}


def create(tx: Transaction, call: Call) -> Reply:
    """Make an identity provider under the id in the path, and a domain for it when none is named."""
    asked: NewProvider = call.body
    asked.check()
    idp_id = check_id(call.path["idp_id"], "identity_provider")
    if tx.first(tables.PROVIDER_BY_ID, {"id": idp_id}) is not None:
        raise _duplicate(f"Duplicate entry: {idp_id}")
    if asked.domain_id:
        check_domain(tx, asked.domain_id)
    values = {
        "id": idp_id,
        "domain_id": asked.domain_id or _new_domain(tx, call, idp_id),
        "enabled": asked.enabled is True,
        "description": asked.description or None,
        "authorization_ttl": None if asked.authorization_ttl is UNSET else asked.authorization_ttl,
        "created_at": tx.now,
    }
    tx.execute(_INSERT, values)
    _set_remote_ids(tx, idp_id, asked.remote_ids or [])
    return Reply(show(tx, call), status=201)


def _duplicate(detail: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store identity_provider - {detail}.")


def _new_domain(tx: Transaction, call: Call, idp_id: str) -> str:
    domain_id = new_hex()
    tx.execute(
        project_tables.INSERT,
        {
            "id": domain_id,
            "name": domain_id,
            "domain_id": project_tables.NO_DOMAIN,
            "parent_id": None,
            "is_domain": True,
            "enabled": True,
            "description": f"Auto generated federated domain for Identity Provider: {idp_id}",
            "options": {},
            "extra": {},
            "created_at": tx.now,
        },
    )
    changes.note(tx, call, "domain", domain_id)
    return domain_id


def _set_remote_ids(tx: Transaction, idp_id: str, ids: list[str]) -> None:
    tx.execute(_DROP_REMOTE_IDS, {"idp": idp_id})
    for remote_id in ids:
        if tx.first(tables.BY_REMOTE_ID, {"remote_id": remote_id}) is not None:
            raise _duplicate(f"Duplicate remote ID: {remote_id}")
        tx.execute(_ADD_REMOTE_ID, {"idp_id": idp_id, "remote_id": remote_id})


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change an identity provider. Tokens of one that is disabled are no longer good."""
    asked: ProviderChange = call.body
    check_something(asked, "identity_provider")
    asked.check()
    row = find_provider(tx, call.path["idp_id"])
    values = dict(asked.given())
    ids = values.pop("remote_ids", UNSET)
    if ids is not UNSET:
        _set_remote_ids(tx, row.id, ids or [])
    if values:
        tx.execute(_UPDATE.values(**values), {"key": row.id})
    if asked.authorization_ttl is not UNSET:
        _retime(tx, row.id, lifetime(call, asked.authorization_ttl))
    return show(tx, call)


def _retime(tx: Transaction, idp_id: str, length: timedelta) -> None:
    """Memberships that the provider vouched for last as long as its new figure says, from when it did."""
    for row in tx.all(_MEMBERSHIPS, {"idp": idp_id}):
        keys = {"idp": idp_id, "user": row.user_id, "member_of": row.group_id}
        tx.execute(_EXPIRE, {**keys, "end": row.verified_at + length})


def delete(tx: Transaction, call: Call) -> None:
    """Delete an identity provider with its protocols, and the users that only it vouched for."""
    removal.remove_provider(tx, find_provider(tx, call.path["idp_id"]).id)


_ALL = "/v3/OS-FEDERATION/identity_providers"
_ONE = f"{_ALL}/{{idp_id}}"
_ENVELOPE = {"envelope": "identity_provider"}

ROUTES = (
    Route("GET", _ALL, list_, "identity:list_identity_providers"),
    Route("GET", _ONE, show, "identity:get_identity_provider"),
    Route("PUT", _ONE, create, "identity:create_identity_provider", body=NewProvider, **_ENVELOPE),
    Route("PATCH", _ONE, update, "identity:update_identity_provider", body=ProviderChange, **_ENVELOPE),
    Route("DELETE", _ONE, delete, "identity:delete_identity_provider"),
)
