"""What providers have of resource classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, MethodNotAllowed, NotFound
from stackyard.core.routes import Route
from stackyard.services.placement.answers import fresh, latest, shows, takes
from stackyard.services.placement.faults import (
    CONCURRENT_UPDATE,
    INVENTORY_IN_USE,
    conflict,
)
from stackyard.services.placement.providers import find
from stackyard.services.placement.standard import unknown_classes
from stackyard.services.placement.tables import SHAPE, inventories, providers

MAX_INT = 2**31 - 1
FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")

Amount = Annotated[int, Meta(ge=1, le=MAX_INT)]
ClassName = Annotated[str, Meta(pattern="^[A-Z0-9_]+$", max_length=255)]

_i = inventories.c
_ALL = sa.select(inventories).where(_i.provider == bindparam("key")).order_by(_i.resource_class)
_ADD = sa.insert(inventories)
_AT = sa.and_(_i.provider == bindparam("key"), _i.resource_class == bindparam("of_class"))
_UPDATE = sa.update(inventories).where(_AT).values({name: bindparam(f"new_{name}") for name in (*FIELDS, "updated_at")})
_DELETE = sa.delete(inventories).where(_AT)
_CHANGED = (
    sa.update(providers)
    .where(providers.c.uuid == bindparam("key"))
    .values(generation=providers.c.generation + 1, updated_at=bindparam("at"))
)


class InventoryFields(Body, kw_only=True):
    """An inventory among others."""

    total: Amount
    resource_provider_generation: int | UnsetType = UNSET
    reserved: Annotated[int, Meta(ge=0, le=MAX_INT)] = 0
    min_unit: Amount = 1
    max_unit: Amount = MAX_INT
    step_size: Amount = 1
    allocation_ratio: Annotated[float, Meta(le=3.40282e38)] = 1.0

    def capacity(self) -> int:
        """How much of it may be allocated in all."""
        return int((self.total - self.reserved) * self.allocation_ratio)

    def values(self) -> dict[str, Any]:
        """The columns."""
        return {name: getattr(self, name) for name in FIELDS}


class NewInventory(InventoryFields, kw_only=True):
    """POST of one."""

    resource_class: ClassName


class InventoryChange(InventoryFields, kw_only=True):
    """PUT of one."""

    resource_provider_generation: int


class Inventories(Body, kw_only=True):
    """PUT of all."""

    resource_provider_generation: int
    inventories: dict[ClassName, InventoryFields]


def rows_of(tx: Transaction, uuid: str) -> dict[str, Any]:
    """A provider's inventories by class."""
    return {row.resource_class: row for row in tx.all(_ALL, {"key": uuid})}


def view(row: Any) -> dict[str, Any]:
    """An inventory as the API shows it."""
    return {name: getattr(row, name) for name in FIELDS}


def changed(tx: Transaction, uuid: str) -> None:
    """What a provider has is another now: its generation grows."""
    tx.execute(_CHANGED, {"key": uuid, "at": tx.now})
    SHAPE.bump(tx)


def put(tx: Transaction, uuid: str, resource_class: str, fields: InventoryFields, *, there: bool) -> None:
    """Write one inventory."""
    if there:
        new = {f"new_{name}": value for name, value in fields.values().items()}
        tx.execute(_UPDATE, {"key": uuid, "of_class": resource_class, "new_updated_at": tx.now, **new})
    else:
        key = {"provider": uuid, "resource_class": resource_class, "used": 0, "used_at": tx.now}
        tx.execute(_ADD, key | fields.values() | {"created_at": tx.now, "updated_at": tx.now})


def drop(tx: Transaction, uuid: str, resource_class: str) -> None:
    """Delete one inventory, which nobody uses."""
    tx.execute(_DELETE, {"key": uuid, "of_class": resource_class})


def replace(tx: Transaction, uuid: str, wanted: Mapping[str, InventoryFields], *, drops: bool = True) -> None:
    """Have a provider have these inventories; others go (unless `drops` is false). Raises Conflict for one in use."""
    there = rows_of(tx, uuid)
    gone = [name for name in there if name not in wanted] if drops else []
    in_use = [name for name in gone if there[name].used]
    if in_use:
        raise conflict(
            f"update conflict: Inventory for '{', '.join(in_use)}' on resource provider '{uuid}' in use.",
            INVENTORY_IN_USE,
        )
    for name in gone:
        drop(tx, uuid, name)
    for name, fields in wanted.items():
        put(tx, uuid, name, fields, there=name in there)
    changed(tx, uuid)


def _check(call: Call, uuid: str, verb: str, wanted: Mapping[str, InventoryFields]) -> None:
    for name, fields in wanted.items():
        least = 0 if call.since(1, 26) else 1
        if fields.capacity() < least:
            than = "greater than total" if least == 0 else "greater than or equal to total"
            raise BadRequest(
                f"Unable to {verb} inventory for resource provider {uuid}: Invalid inventory for '{name}' on "
                f"resource provider '{uuid}'. The reserved value is {than}."
            )


def check_generation(row: Any, given: int) -> None:
    """Refuse who has seen another generation of a provider."""
    if row.generation != given:
        raise conflict("resource provider generation conflict", CONCURRENT_UPDATE)


def _all(tx: Transaction, call: Call, uuid: str) -> Reply:
    row, there = find(tx, uuid), rows_of(tx, uuid)
    shown = {name: view(one) for name, one in there.items()}
    body = {"resource_provider_generation": row.generation, "inventories": shown}
    return fresh(call, body, latest(there.values(), None))


def _one(tx: Transaction, call: Call, uuid: str, resource_class: str, **options: Any) -> Reply:
    row, there = find(tx, uuid), rows_of(tx, uuid)
    if resource_class not in there:
        raise NotFound(f"No inventory of class {resource_class[:255]} for {uuid}")
    shown = view(there[resource_class])
    if row.generation:
        shown["resource_provider_generation"] = row.generation
    return fresh(call, shown, there[resource_class].updated_at, **options)


def list_(tx: Transaction, call: Call) -> Reply:
    """GET .../inventories."""
    return _all(tx, call, call.path["uuid"])


def show(tx: Transaction, call: Call) -> Reply:
    """GET .../inventories/{class}."""
    return _one(tx, call, call.path["uuid"], call.path["resource_class"])


def create(tx: Transaction, call: Call) -> Reply:
    """POST .../inventories: one more."""
    row, body = find(tx, call.path["uuid"]), call.body
    name = body.resource_class
    _check(call, row.uuid, "create", {name: body})
    if unknown_classes(tx, [name]):
        raise BadRequest(f"Unable to create inventory for resource provider {row.uuid}: No such resource class {name}.")
    if name in rows_of(tx, row.uuid):
        raise conflict(f"Update conflict: there is an inventory of class {name} already.", CONCURRENT_UPDATE)
    put(tx, row.uuid, name, body, there=False)
    changed(tx, row.uuid)
    location = call.url(f"/resource_providers/{row.uuid}/inventories/{name}")
    return _one(tx, call, row.uuid, name, status=201, headers={"Location": location})


def set_all(tx: Transaction, call: Call) -> Reply:
    """PUT .../inventories: these and no others."""
    row, body = find(tx, call.path["uuid"]), call.body
    check_generation(row, body.resource_provider_generation)
    _check(call, row.uuid, "update", body.inventories)
    if missing := unknown_classes(tx, body.inventories):
        raise BadRequest(
            f"Unknown resource class in inventory for resource provider {row.uuid}: "
            f"No such resource class {missing[0]}."
        )
    replace(tx, row.uuid, body.inventories)
    return _all(tx, call, row.uuid)


def set_one(tx: Transaction, call: Call) -> Reply:
    """PUT .../inventories/{class}: one that is there."""
    row, body, name = find(tx, call.path["uuid"]), call.body, call.path["resource_class"]
    check_generation(row, body.resource_provider_generation)
    _check(call, row.uuid, "update", {name: body})
    if unknown_classes(tx, [name]):
        raise NotFound(f"No such resource class {name[:255]}.")
    if name not in rows_of(tx, row.uuid):
        raise BadRequest(
            f"No inventory record with resource class for resource provider {row.uuid}: "
            f"No inventory of class {name} found."
        )
    put(tx, row.uuid, name, body, there=True)
    changed(tx, row.uuid)
    return _one(tx, call, row.uuid, name)


def delete_one(tx: Transaction, call: Call) -> None:
    """DELETE .../inventories/{class}."""
    row, name = find(tx, call.path["uuid"]), call.path["resource_class"]
    found = rows_of(tx, row.uuid).get(name)
    if found is None:
        why = f"No inventory of class {name[:255]} found for delete"
        if unknown_classes(tx, [name]):
            why = f"No such resource class {name[:255]}."
        raise NotFound(f"No inventory of class {name[:255]} found for delete: {why}")
    if found.used:
        raise conflict(
            f"Unable to delete inventory of class {name}: Inventory for '{name}' on resource provider "
            f"'{row.uuid}' in use.",
            CONCURRENT_UPDATE,
        )
    drop(tx, row.uuid, name)
    changed(tx, row.uuid)


def delete_all(tx: Transaction, call: Call) -> None:
    """DELETE .../inventories, since 1.5."""
    if not call.since(1, 5):
        raise MethodNotAllowed("The method specified is not allowed for this resource.")
    row = find(tx, call.path["uuid"])
    replace(tx, row.uuid, {})


_ALL_PATH = "/resource_providers/{uuid}/inventories"
_ONE_PATH = f"{_ALL_PATH}/{{resource_class}}"
_RULE = "placement:resource_providers:inventories"

ROUTES = (
    Route("GET", _ALL_PATH, shows(list_), f"{_RULE}:list"),
    Route("POST", _ALL_PATH, takes(create), f"{_RULE}:create", body=NewInventory, status=201),
    Route("PUT", _ALL_PATH, takes(set_all), f"{_RULE}:update", body=Inventories),
    Route("DELETE", _ALL_PATH, delete_all, f"{_RULE}:delete", status=204),
    Route("GET", _ONE_PATH, shows(show), f"{_RULE}:show"),
    Route("PUT", _ONE_PATH, takes(set_one), f"{_RULE}:update", body=InventoryChange),
    Route("DELETE", _ONE_PATH, delete_one, f"{_RULE}:delete", status=204),
)
