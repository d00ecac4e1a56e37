"""Inventories and allocations moved between providers together: a host that becomes a tree."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement.allocations import (
    Allocations28,
    Allocations34,
    Allocations38,
    Uuid,
    wanted_of,
    write,
)
from stackyard.services.placement.answers import normal_uuid, takes
from stackyard.services.placement.faults import CONCURRENT_UPDATE, PROVIDER_NOT_FOUND, conflict
from stackyard.services.placement.inventories import Inventories, replace
from stackyard.services.placement.standard import unknown_classes
from stackyard.services.placement.tables import providers as _table

_ROWS = sa.select(_table).where(_table.c.uuid.in_(bindparam("keys", expanding=True)))

NewInventories = Annotated[dict[Uuid, Inventories], Meta(min_length=1)]


class Reshape30(Body, kw_only=True):
    """Since 1.30."""

    inventories: NewInventories
    allocations: dict[Uuid, Allocations28]


class Reshape34(Body, kw_only=True):
    """Since 1.34."""

    inventories: NewInventories
    allocations: dict[Uuid, Allocations34]


class Reshape38(Body, kw_only=True):
    """Since 1.38."""

    inventories: NewInventories
    allocations: dict[Uuid, Allocations38]


def _body(version: Microversion) -> Any:
    return Reshape38 if version >= (1, 38) else Reshape34 if version >= (1, 34) else Reshape30


def reshape(tx: Transaction, call: Call) -> None:
    """POST /reshaper: what is to go is there until the allocations have moved."""
    wanted = {normal_uuid(uuid, "inventories"): given for uuid, given in call.body.inventories.items()}
    rows = {row.uuid: row for row in tx.all(_ROWS, {"keys": list(wanted)})}
    for uuid, given in wanted.items():
        if uuid not in rows:
            raise BadRequest(
                f"Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found",
                kind=PROVIDER_NOT_FOUND,
            )
        if given.resource_provider_generation != rows[uuid].generation:
            raise conflict(
                f"resource provider generation conflict for provider {uuid}: actual: {rows[uuid].generation}, "
                f"given: {given.resource_provider_generation}",
                CONCURRENT_UPDATE,
            )
        if missing := unknown_classes(tx, given.inventories):
            raise BadRequest(f"malformed reshaper data: No such resource class {missing[0]}.")
    for uuid, given in wanted.items():
        if given.inventories:
            replace(tx, uuid, given.inventories, drops=False)
    allocations = {normal_uuid(uuid, "allocations"): wanted_of(body) for uuid, body in call.body.allocations.items()}
    if allocations:
        write(tx, allocations, "malformed reshaper data")
    for uuid, given in wanted.items():
        replace(tx, uuid, given.inventories)


ROUTES = (
    Route("POST", "/reshaper", takes(reshape), "placement:reshaper:reshape", since=Microversion(1, 30), body=_body,
          status=204),
)  # fmt: skip
