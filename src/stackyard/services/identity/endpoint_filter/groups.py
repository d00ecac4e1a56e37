"""Endpoint groups: the endpoints of some service, region or interface, whichever there are."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Listing
from stackyard.services.identity.attributes import Name255
from stackyard.services.identity.catalog.endpoints import Interface
from stackyard.services.identity.endpoint_filter.tables import endpoint_groups
from stackyard.services.identity.listing import texts
from stackyard.services.identity.resource import Resource, Values


class Filters(Body):
    """What an endpoint must have to belong to the group: all that is given here."""

    interface: Interface | UnsetType = UNSET
    service_id: str | UnsetType = UNSET
    region_id: str | UnsetType | None = UNSET


class NewEndpointGroup(OpenBody):
    """A group to make."""

    name: Name255
    filters: Filters
    description: str | None = None


class EndpointGroupChange(OpenBody):
    """What to change of a group; a null name or filter leaves what is there, as the openstack client means it."""

    name: Name255 | UnsetType | None = UNSET
    filters: Filters | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    return {"name": row.name, "description": row.description, "filters": row.filters}


def _stored(values: Values) -> Values:
    if "filters" in values:
        values["filters"] = dict(values["filters"].given())
    return values


def _to_store(tx: Transaction, call: Call, asked: NewEndpointGroup) -> Values:
    del tx, call
    values = _stored(dict(asked.given()))
    if not values["filters"]:
        raise BadRequest("filters field is required and cannot be empty")
    return values


def _to_change(tx: Transaction, call: Call, row: Row[Any], asked: EndpointGroupChange) -> Values:
    del tx, call, row
    given = dict(asked.given())
    for name in ("name", "filters"):
        if given.get(name, UNSET) is None:
            del given[name]
    return _stored(given)


ENDPOINT_GROUPS = Resource(
    kind="endpoint_group",
    plural="endpoint_groups",
    path="/v3/OS-EP-FILTER/endpoint_groups",
    table=endpoint_groups,
    new=NewEndpointGroup,
    change=EndpointGroupChange,
    view=_view,
    listing=Listing(endpoint_groups, texts("name", endpoint_groups.c.name), default_sort=(("created_at", "asc"),)),
    to_store=_to_store,
    to_change=_to_change,
)
