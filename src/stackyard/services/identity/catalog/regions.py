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
from stackyard.services.identity import attributes
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.catalog.tables import endpoints, regions
from stackyard.services.identity.listing import collection
from stackyard.services.identity.targets import the

RegionId = Annotated[str, msgspec.Meta(max_length=255)]

LISTING = Listing(regions, {"parent_region_id": Filter(regions.c.parent_region_id)})
_INSERT = sa.insert(regions)
_UPDATE = sa.update(regions).where(regions.c.id == bindparam("key"))
_DELETE = sa.delete(regions).where(regions.c.id == bindparam("id"))
_CHILDREN = sa.select(regions.c.id).where(regions.c.parent_region_id == bindparam("id"))
_ENDPOINTS = sa.select(endpoints.c.id).where(endpoints.c.region_id.in_(bindparam("ids", expanding=True))).limit(1)


class NewRegion(OpenBody):
    """A region to make; without an id it gets one."""

    id: RegionId | UnsetType | None = UNSET
    description: str | None = None
    parent_region_id: RegionId | None = None


class RegionChange(OpenBody):
    """What to change of a region."""

    description: str | UnsetType | None = UNSET
    parent_region_id: RegionId | UnsetType | None = UNSET


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "description": row.description,
        "parent_region_id": row.parent_region_id,
        "links": {"self": call.url(f"/v3/regions/{row.id}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Regions."""
    page = LISTING.page(tx, call.query)
    return collection(call, "regions", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One region."""
    del tx
    return {"region": _view(call, the(call, "region"))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a region."""
    return _create(tx, call, None)


def create_as(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a region with the id of the path."""
    return _create(tx, call, call.path["region_id"])


def _create(tx: Transaction, call: Call, path_id: str | None) -> dict[str, Any]:
    asked, extra = attributes.read(call.body, NewRegion, "region")
    if path_id is not None and isinstance(asked.id, str) and asked.id != path_id:
        raise BadRequest(f'Conflicting region IDs specified: "{path_id}" != "{asked.id}"')
    region_id = path_id or (asked.id if isinstance(asked.id, str) else "") or new_hex()
    if tx.first(tables.REGION_BY_ID, {"id": region_id}) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region_id}.")
    _check_parent(tx, region_id, asked.parent_region_id)
    values = {"id": region_id, "description": asked.description or "", "parent_region_id": asked.parent_region_id}
    tx.execute(_INSERT, {**values, "extra": extra})
    return {"region": _view(call, _read(tx, region_id))}


def _read(tx: Transaction, region_id: str) -> Row[Any]:
    row = tx.first(tables.REGION_BY_ID, {"id": region_id})
    if row is None:
        raise NotFound(f"Could not find region: {region_id}.")
    return row


def _check_parent(tx: Transaction, region_id: str, parent_id: str | None) -> None:
    """Raise NotFound for a parent that is not there, BadRequest for a circle."""
    above = parent_id
    while above is not None:
        if above == region_id:
            raise BadRequest(f"Invalid input for parent_region_id: {parent_id} is below {region_id} itself.")
        above = _read(tx, above).parent_region_id


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a region."""
    row = the(call, "region")
    asked, extra = attributes.changes(call.body, RegionChange, "region", row.id)
    parent_id = row.parent_region_id if asked.parent_region_id is UNSET else asked.parent_region_id
    _check_parent(tx, row.id, parent_id)
    values = {
        "description": row.description if asked.description is UNSET else asked.description or "",
        "parent_region_id": parent_id,
        "extra": attributes.merged(row.extra, extra),
    }
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return {"region": _view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a region with those below it, unless an endpoint is in one of them."""
    ids = [the(call, "region").id]
    for region_id in ids:
        ids += [row.id for row in tx.all(_CHILDREN, {"id": region_id})]
    if tx.first(_ENDPOINTS, {"ids": ids}) is not None:
        raise Forbidden(f"Unable to delete region {ids[0]} because it or its child regions have associated endpoints.")
    for region_id in reversed(ids):
        tx.execute(_DELETE, {"id": region_id})
