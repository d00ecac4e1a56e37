"""Regions."""

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
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.catalog.tables import endpoints, regions
from stackyard.services.identity.resource import Resource, Values

RegionId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Description = Annotated[str, msgspec.Meta(max_length=255)]

_CHILDREN = sa.select(regions.c.id).where(regions.c.parent_region_id == bindparam("id"))
_ENDPOINTS = sa.select(endpoints.c.id).where(endpoints.c.region_id.in_(bindparam("ids", expanding=True))).limit(1)
_DELETE = sa.delete(regions).where(regions.c.id == bindparam("id"))


class NewRegion(OpenBody):
    """A region to make; without an id it gets one."""

    id: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    description: Description | None = None
    parent_region_id: RegionId | None = None


class RegionChange(OpenBody):
    """What to change of a region."""

    description: Description | UnsetType | None = UNSET
    parent_region_id: RegionId | UnsetType | None = UNSET


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    return {"description": row.description, "parent_region_id": row.parent_region_id}


def _to_store(tx: Transaction, call: Call, asked: NewRegion) -> Values:
    path_id = call.path.get("region_id")
    if path_id is not None and asked.id is not None and asked.id != path_id:
        raise BadRequest(f'Conflicting region IDs specified: "{path_id}" != "{asked.id}"')
    region_id = path_id or asked.id or new_hex()
    if len(region_id) > tables.REGION_ID_LENGTH:
        raise BadRequest(f"Invalid input for region_id: it is longer than {tables.REGION_ID_LENGTH} characters.")
    if tx.first(tables.REGION_BY_ID, {"id": region_id}) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region_id}.")
    _check_parent(tx, region_id, asked.parent_region_id)
    return {"id": region_id, "description": asked.description or "", "parent_region_id": asked.parent_region_id}


def _check_parent(tx: Transaction, region_id: str, parent_id: str | None) -> None:
    """Raise NotFound for a parent that is not there, BadRequest for a circle."""
    above = parent_id
    while above is not None:
        if above == region_id:
            raise BadRequest(f"Invalid input for parent_region_id: {parent_id} is {region_id} itself or below it.")
        row = tx.first(tables.REGION_BY_ID, {"id": above})
        if row is None:
            raise NotFound(f"Could not find region: {above}.")
        above = row.parent_region_id


def _to_change(tx: Transaction, call: Call, row: Row[Any], asked: RegionChange) -> Values:
    del call
    values = dict(asked.given())
    if "parent_region_id" in values:
        _check_parent(tx, row.id, values["parent_region_id"])
    if "description" in values:
        values["description"] = values["description"] or ""
    return values


def _before_delete(tx: Transaction, call: Call, row: Row[Any]) -> None:
    """The regions below go too, unless an endpoint is in one of them."""
    del call
    ids = [row.id]
    for region_id in ids:
        ids += [child.id for child in tx.all(_CHILDREN, {"id": region_id})]
    if tx.first(_ENDPOINTS, {"ids": ids}) is not None:
        raise Forbidden(f"Unable to delete region {row.id} because it or its child regions have associated endpoints.")
    for region_id in reversed(ids[1:]):
        tx.execute(_DELETE, {"id": region_id})


REGIONS = Resource(
    kind="region",
    plural="regions",
    path="/v3/regions",
    table=regions,
    new=NewRegion,
    change=RegionChange,
    view=_view,
    listing=Listing(regions, {"parent_region_id": Filter(regions.c.parent_region_id)}),
    to_store=_to_store,
    to_change=_to_change,
    before_delete=_before_delete,
)

ROUTES = (
    *REGIONS.routes(),
    REGIONS.route("PUT", "/{region_id}", REGIONS.create, "create", status=201),
)
