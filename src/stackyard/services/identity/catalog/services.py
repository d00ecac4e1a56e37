"""Services of the catalogue. One that is deleted takes its endpoints and registered limits with it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.paging import Listing
from stackyard.services.identity.catalog.tables import services
from stackyard.services.identity.listing import texts
from stackyard.services.identity.resource import Resource, Values

Text255 = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


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


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    return {"type": row.type, "name": row.name or "", "enabled": row.enabled}


SERVICES = Resource(
    kind="service",
    plural="services",
    path="/v3/services",
    table=services,
    new=NewService,
    change=ServiceChange,
    view=_view,
    listing=Listing(
        services,
        {**texts("type", services.c.type), **texts("name", services.c.name)},
        default_sort=(("created_at", "asc"),),
    ),
)

ROUTES = SERVICES.routes()
