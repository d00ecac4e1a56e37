"""Endpoints of the catalogue's services."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing
from stackyard.services.identity import attributes
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.catalog.regions import RegionId
from stackyard.services.identity.catalog.tables import endpoints, regions
from stackyard.services.identity.catalog.view import ROOT_URL, unknown_places
from stackyard.services.identity.listing import collection
from stackyard.services.identity.targets import the

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
Interface = Literal["admin", "internal", "public"]

LISTING = Listing(
    endpoints,
    {
        "interface": Filter(endpoints.c.interface),
        "service_id": Filter(endpoints.c.service_id),
        "region_id": Filter(endpoints.c.region_id),
    },
    default_sort=(("created_at", "asc"),),
)
_INSERT = sa.insert(endpoints)
_UPDATE = sa.update(endpoints).where(endpoints.c.id == bindparam("key"))
_DELETE = sa.delete(endpoints).where(endpoints.c.id == bindparam("id"))
_NEW_REGION = sa.insert(regions)


class NewEndpoint(OpenBody):
    """An endpoint to make; a `region` that does not exist yet is made too, unlike a `region_id`."""

    interface: Interface
    service_id: str
    url: Url
    region_id: RegionId | None = None
    region: RegionId | None = None
    enabled: bool = True


class EndpointChange(OpenBody):
    """What to change of an endpoint."""

    interface: Interface | UnsetType = UNSET
    service_id: str | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    region: RegionId | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "interface": row.interface,
        "service_id": row.service_id,
        "region_id": row.region_id,
        "region": row.region_id,
        "url": row.url.replace(ROOT_URL, call.root_url),
        "enabled": row.enabled,
        "links": {"self": call.url(f"/v3/endpoints/{row.id}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Endpoints."""
    page = LISTING.page(tx, call.query)
    return collection(call, "endpoints", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One endpoint."""
    del tx
    return {"endpoint": _view(call, the(call, "endpoint"))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make an endpoint."""
    asked, extra = attributes.read(call.body, NewEndpoint, "endpoint")
    _check(tx, asked.service_id, asked.url)
    endpoint_id = new_hex()
    values = {
        "id": endpoint_id,
        "service_id": asked.service_id,
        "region_id": _region(tx, asked.region_id, asked.region),
        "interface": asked.interface,
        "url": asked.url,
        "enabled": asked.enabled,
        "extra": extra,
        "created_at": tx.now,
    }
    tx.execute(_INSERT, values)
    return {"endpoint": _view(call, _read(tx, endpoint_id))}


def _check(tx: Transaction, service_id: str | UnsetType, url: str | UnsetType) -> None:
    if service_id is not UNSET and tx.first(tables.SERVICE_BY_ID, {"id": service_id}) is None:
        raise BadRequest(f"Could not find service: {service_id}.")
    if url is not UNSET and unknown_places(url):
        raise BadRequest(f"Cannot create an endpoint with an invalid URL: {url}.")


def _region(tx: Transaction, region_id: str | None, region: str | None) -> str | None:
    if region_id is not None:
        if tx.first(tables.REGION_BY_ID, {"id": region_id}) is None:
            raise BadRequest(f"Could not find region: {region_id}.")
        return region_id
    if region is not None and tx.first(tables.REGION_BY_ID, {"id": region}) is None:
        tx.execute(_NEW_REGION, {"id": region, "description": "", "parent_region_id": None, "extra": {}})
    return region


def _read(tx: Transaction, endpoint_id: str) -> Row[Any]:
    row = tx.first(tables.ENDPOINT_BY_ID, {"id": endpoint_id})
    if row is None:
        raise NotFound(f"Could not find endpoint: {endpoint_id}.")
    return row


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change an endpoint."""
    row = the(call, "endpoint")
    asked, extra = attributes.changes(call.body, EndpointChange, "endpoint", row.id)
    _check(tx, asked.service_id, asked.url)
    values = {name: value for name, value in asked.given() if name not in ("region", "region_id")}
    if asked.region_id is not UNSET or asked.region is not UNSET:
        region_id = None if asked.region_id is UNSET else asked.region_id
        values["region_id"] = _region(tx, region_id, None if asked.region is UNSET else asked.region)
    tx.execute(_UPDATE.values(**values, extra=attributes.merged(row.extra, extra)), {"key": row.id})
    return {"endpoint": _view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete an endpoint."""
    tx.execute(_DELETE, {"id": the(call, "endpoint").id})
