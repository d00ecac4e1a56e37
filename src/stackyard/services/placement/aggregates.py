"""The aggregates that a provider is in: UUIDs that others give a meaning."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement.answers import fresh, is_uuid_like, shows, takes
from stackyard.services.placement.faults import generation_conflict
from stackyard.services.placement.inventories import changed
from stackyard.services.placement.providers import find
from stackyard.services.placement.tables import provider_aggregates

_c = provider_aggregates.c
_OF = sa.select(_c.aggregate).where(_c.provider == bindparam("key")).order_by(_c.aggregate)
_DROP = sa.delete(provider_aggregates).where(_c.provider == bindparam("key"))
_ADD = sa.insert(provider_aggregates)

SINCE = Microversion(1, 1)


class Aggregates(Body, kw_only=True):
    """PUT since 1.19; before, the list alone."""

    aggregates: list[str]
    resource_provider_generation: int


def _view(call: Call, uuids: list[str], generation: int, tx: Transaction) -> Reply:
    body: dict[str, Any] = {"aggregates": uuids}
    if call.since(1, 19):
        body["resource_provider_generation"] = generation
    return fresh(call, body, tx.now)


def list_(tx: Transaction, call: Call) -> Reply:
    """GET .../aggregates."""
    row = find(tx, call.path["uuid"])
    return _view(call, [one.aggregate for one in tx.all(_OF, {"key": row.uuid})], row.generation, tx)


def set_all(tx: Transaction, call: Call) -> Reply:
    """PUT .../aggregates: these and no others. The generation counts since 1.19."""
    row = find(tx, call.path["uuid"])
    counts = call.since(1, 19)
    uuids: list[str] = call.body.aggregates if counts else call.body
    for uuid in uuids:
        if not is_uuid_like(uuid):
            raise BadRequest(f"JSON does not validate: '{uuid[:255]}' is not a 'uuid'")
    if len(set(uuids)) < len(uuids):
        raise BadRequest("JSON does not validate: aggregates has non-unique elements")
    if counts and call.body.resource_provider_generation != row.generation:
        raise generation_conflict()
    tx.execute(_DROP, {"key": row.uuid})
    if uuids:
        tx.execute(_ADD, [{"provider": row.uuid, "aggregate": uuid} for uuid in uuids])
    if counts:
        changed(tx, row.uuid)
    return _view(call, uuids, row.generation + counts, tx)


def _body(version: Microversion) -> Any:
    return Aggregates if version >= (1, 19) else list[str]


_PATH = "/resource_providers/{uuid}/aggregates"
_RULE = "placement:resource_providers:aggregates"

ROUTES = (
    Route("GET", _PATH, shows(list_), f"{_RULE}:list", since=SINCE),
    Route("PUT", _PATH, takes(set_all), f"{_RULE}:update", since=SINCE, body=_body),
)
