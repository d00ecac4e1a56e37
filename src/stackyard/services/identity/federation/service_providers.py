"""Service providers: other clouds that this one's users may go to. Tokens list those that are enabled."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, NotFound
from stackyard.core.paging import Filter, Listing
from stackyard.core.routes import Route
from stackyard.services.identity import generation
from stackyard.services.identity.federation import tables
from stackyard.services.identity.federation.bodies import (
    NewServiceProvider,
    ServiceProviderChange,
    check_id,
    check_something,
)
from stackyard.services.identity.federation.tables import service_providers
from stackyard.services.identity.listing import collection, switch

RELAY_STATE_PREFIX = "ss:mem:"
"""What a service provider has when none is given; Keystone's default."""

LISTING = Listing(
    service_providers,
    {"id": Filter(service_providers.c.id), "enabled": Filter(service_providers.c.enabled, read=switch)},
)
_INSERT = sa.insert(service_providers)
_UPDATE = sa.update(service_providers).where(service_providers.c.id == sa.bindparam("key"))
_DELETE = sa.delete(service_providers).where(service_providers.c.id == sa.bindparam("id"))


def in_tokens(tx: Transaction) -> list[dict[str, Any]]:
    """The enabled ones, as tokens list them; remembered, since every token does."""

    def listed() -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in tx.all(tables.ENABLED_SERVICE_PROVIDERS)]

    return generation.memory(tx).remember(generation.current(tx), "service providers", listed)


def _find(tx: Transaction, call: Call) -> Row[Any]:
    row = tx.first(tables.SERVICE_PROVIDER_BY_ID, {"id": call.path["sp_id"]})
    if row is None:
        raise NotFound(f"Could not find Service Provider: {call.path['sp_id']}.")
    return row


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "links": {"self": call.url(f"/v3/OS-FEDERATION/service_providers/{row.id}")}}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Service providers."""
    page = LISTING.page(tx, call.query)
    return collection(call, "service_providers", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One service provider."""
    return {"service_provider": _view(call, _find(tx, call))}


def create(tx: Transaction, call: Call) -> Reply:
    """Make a service provider under the id in the path."""
    sp_id = check_id(call.path["sp_id"], "service_provider")
    if tx.first(tables.SERVICE_PROVIDER_BY_ID, {"id": sp_id}) is not None:
        raise Conflict(
            f"Conflict occurred attempting to store service_provider - Duplicate entry found with ID {sp_id}."
        )
    asked: NewServiceProvider = call.body
    values = dict(asked.given()) | {"relay_state_prefix": asked.relay_state_prefix or RELAY_STATE_PREFIX}
    tx.execute(_INSERT, {"id": sp_id, **values})
    return Reply(show(tx, call), status=201)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a service provider."""
    asked: ServiceProviderChange = call.body
    check_something(asked, "service_provider")
    row = _find(tx, call)
    values = dict(asked.given())
    if asked.relay_state_prefix is not UNSET:
        values["relay_state_prefix"] = asked.relay_state_prefix or RELAY_STATE_PREFIX
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """Delete a service provider."""
    tx.execute(_DELETE, {"id": _find(tx, call).id})


_ALL = "/v3/OS-FEDERATION/service_providers"
_ONE = f"{_ALL}/{{sp_id}}"
_ENVELOPE = {"envelope": "service_provider"}

ROUTES = (
    Route("GET", _ALL, list_, "identity:list_service_providers"),
    Route("GET", _ONE, show, "identity:get_service_provider"),
    Route("PUT", _ONE, create, "identity:create_service_provider", body=NewServiceProvider, **_ENVELOPE),
    Route("PATCH", _ONE, update, "identity:update_service_provider", body=ServiceProviderChange, **_ENVELOPE),
    Route("DELETE", _ONE, delete, "identity:delete_service_provider"),
)
