"""Services of the catalogue."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing
from stackyard.services.identity import attributes
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.catalog.tables import services
from stackyard.services.identity.listing import collection, texts
from stackyard.services.identity.targets import the

Text255 = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]

LISTING = Listing(
    services,
    {"type": Filter(services.c.type), **texts("name", services.c.name)},
    default_sort=(("created_at", "asc"),),
)
_INSERT = sa.insert(services)
_UPDATE = sa.update(services).where(services.c.id == bindparam("key"))
_DELETE = sa.delete(services).where(services.c.id == bindparam("id"))


class NewService(OpenBody):
    """A service to make."""

    type: Text255
    name: Text255 | UnsetType = UNSET
    enabled: bool = True


class ServiceChange(OpenBody):
    """What to change of a service."""

    type: Text255 | UnsetType = UNSET
    name: Text255 | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    body = {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "enabled": row.enabled,
        "links": {"self": call.url(f"/v3/services/{row.id}")},
    }
    return body if row.name is None else {**body, "name": row.name}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Services."""
    page = LISTING.page(tx, call.query)
    return collection(call, "services", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One service."""
    del tx
    return {"service": _view(call, the(call, "service"))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a service."""
    asked, extra = attributes.read(call.body, NewService, "service")
    service_id = new_hex()
    name = None if asked.name is UNSET else asked.name
    values = {"id": service_id, "type": asked.type, "name": name, "enabled": asked.enabled}
    tx.execute(_INSERT, {**values, "extra": extra, "created_at": tx.now})
    return {"service": _view(call, _read(tx, service_id))}


def _read(tx: Transaction, service_id: str) -> Row[Any]:
    row = tx.first(tables.SERVICE_BY_ID, {"id": service_id})
    if row is None:
        raise NotFound(f"Could not find service: {service_id}.")
    return row


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a service."""
    row = the(call, "service")
    asked, extra = attributes.changes(call.body, ServiceChange, "service", row.id)
    values = {**dict(asked.given()), "extra": attributes.merged(row.extra, extra)}
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return {"service": _view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a service and its endpoints."""
    tx.execute(_DELETE, {"id": the(call, "service").id})
