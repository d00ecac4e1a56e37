"""Endpoints of the catalogue's services."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.paging import Filter, Listing
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.catalog.regions import RegionId
from stackyard.services.identity.catalog.tables import endpoints, regions
from stackyard.services.identity.catalog.view import ROOT_URL, unknown_places
from stackyard.services.identity.resource import Resource, Values

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
Interface = Literal["admin", "internal", "public"]
INTERFACES = ("admin", "internal", "public")

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


def _view(call: Call, row: Row[Any]) -> Values:
    return {
        "interface": row.interface,
        "service_id": row.service_id,
        "region_id": row.region_id,
        "region": row.region_id,
        "url": row.url.replace(ROOT_URL, call.root_url),
        "enabled": row.enabled,
    }


def _to_store(tx: Transaction, call: Call, asked: NewEndpoint) -> Values:
    del call
    values = dict(asked.given())
    _check(tx, values)
    values["region_id"] = _region(tx, asked.region_id, values.pop("region"))
    return values


def _to_change(tx: Transaction, call: Call, row: Row[Any], asked: EndpointChange) -> Values:
    del call, row
    values = dict(asked.given())
    _check(tx, values)
    if "region" in values or "region_id" in values:
        values["region_id"] = _region(tx, values.get("region_id"), values.pop("region", None))
    return values


def _check(tx: Transaction, values: Values) -> None:
    service_id = values.get("service_id")
    if service_id is not None and tx.first(tables.SERVICE_BY_ID, {"id": service_id}) is None:
        raise BadRequest(f"Could not find service: {service_id}.")
    if "url" in values and unknown_places(values["url"]):
        raise BadRequest(f"Cannot create an endpoint with an invalid URL: {values['url']}.")


def _region(tx: Transaction, region_id: str | None, region: str | None) -> str | None:
    if region_id is not None:
        if tx.first(tables.REGION_BY_ID, {"id": region_id}) is None:
            raise BadRequest(f"Could not find region: {region_id}.")
        return region_id
    if region is not None and tx.first(tables.REGION_BY_ID, {"id": region}) is None:
        tx.execute(_NEW_REGION, {"id": region, "description": "", "parent_region_id": None, "extra": {}})
    return region


def _interface(name: str, value: str) -> object:
    if value not in INTERFACES:
        raise InvalidField(name, f"'{value}' is not one of {', '.join(INTERFACES)}.")
    return value


ENDPOINTS = Resource(
    kind="endpoint",
    plural="endpoints",
    path="/v3/endpoints",
    table=endpoints,
    new=NewEndpoint,
    change=EndpointChange,
    view=_view,
    listing=Listing(
        endpoints,
        {
            "interface": Filter(endpoints.c.interface, read=_interface),
            "service_id": Filter(endpoints.c.service_id),
            "region_id": Filter(endpoints.c.region_id),
        },
        default_sort=(("created_at", "asc"),),
    ),
    to_store=_to_store,
    to_change=_to_change,
)

ROUTES = ENDPOINTS.routes()
