"""Resource classes: what there may be inventories of. Standard ones, and custom ones that an administrator makes."""

from __future__ import annotations

import re
from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement.answers import fresh, path, shows, takes
from stackyard.services.placement.faults import conflict
from stackyard.services.placement.standard import standard_classes
from stackyard.services.placement.tables import SHAPE, allocations, custom_classes, inventories

SINCE = Microversion(1, 2)
_NAME = "^CUSTOM_[A-Z0-9_]+$"

_ALL = sa.select(custom_classes).order_by(custom_classes.c.created_at, custom_classes.c.name)
_ONE = sa.select(custom_classes).where(custom_classes.c.name == bindparam("key"))
_ADD = sa.insert(custom_classes)
_DELETE = sa.delete(custom_classes).where(custom_classes.c.name == bindparam("key"))
_RENAME = sa.update(custom_classes).where(custom_classes.c.name == bindparam("key")).values(name=bindparam("new_name"))
_USES = tuple(
    sa.update(table).where(table.c.resource_class == bindparam("key")).values(resource_class=bindparam("new_name"))
    for table in (inventories, allocations)
)
_USER = sa.select(inventories.c.provider).where(inventories.c.resource_class == bindparam("key")).limit(1)


class ClassFields(Body):
    """A custom class."""

    name: Annotated[str, Meta(pattern=_NAME, max_length=255)]


def _view(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": path(call, f"/resource_classes/{name}")}]}


def _find(tx: Transaction, name: str) -> Any:
    """When a class was made; now for a standard one. Raises NotFound."""
    if name in standard_classes():
        return tx.now
    row = tx.first(_ONE, {"key": name})
    if row is None:
        raise NotFound(f"No such resource class {name[:255]}.")
    return row.created_at


def list_(tx: Transaction, call: Call) -> Reply:
    """GET /resource_classes."""
    custom = tx.all(_ALL)
    names = [*standard_classes(), *(row.name for row in custom)]
    return fresh(call, {"resource_classes": [_view(call, name) for name in names]}, tx.now)


def show(tx: Transaction, call: Call) -> Reply:
    """GET /resource_classes/{name}."""
    name = call.path["name"]
    return fresh(call, _view(call, name), _find(tx, name))


def create(tx: Transaction, call: Call) -> Reply:
    """POST /resource_classes."""
    name = call.body.name
    if tx.first(_ONE, {"key": name}) is not None:
        raise conflict(f"Conflicting resource class already exists: {name}")
    tx.insert_once(_ADD, {"name": name, "created_at": tx.now})
    return Reply(status=201, headers={"Location": call.url(f"/resource_classes/{name}")})


def rename(tx: Transaction, call: Call) -> Reply:
    """PUT /resource_classes/{name} before 1.7."""
    old, new = call.path["name"], call.body.name
    _find(tx, old)
    if old in standard_classes():
        raise BadRequest(f"Cannot update standard resource class {old}")
    if tx.first(_ONE, {"key": new}) is not None:
        raise conflict(f"Resource class already exists: {new}")
    for statement in (_RENAME, *_USES):
        tx.execute(statement, {"key": old, "new_name": new})
    SHAPE.bump(tx)
    return Reply(_view(call, new))


def put(tx: Transaction, call: Call) -> Reply:
    """PUT /resource_classes/{name} since 1.7: have a custom class."""
    name = call.path["name"]
    if not re.fullmatch(_NAME[1:-1], name) or len(name) > 255:
        raise BadRequest(f"JSON does not validate: '{name[:255]}' does not match '{_NAME}'")
    there = tx.first(_ONE, {"key": name}) is not None
    if not there:
        tx.insert_once(_ADD, {"name": name, "created_at": tx.now})
    return Reply(status=204 if there else 201, headers={"Location": call.url(f"/resource_classes/{name}")})


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /resource_classes/{name}."""
    name = call.path["name"]
    _find(tx, name)
    failed = "Error in delete resource class: Cannot delete"
    if name in standard_classes():
        raise BadRequest(f"{failed} standard resource class {name}.")
    if tx.first(_USER, {"key": name}) is not None:
        raise conflict(f"{failed} resource class {name}. Class is in use in inventory.")
    tx.execute(_DELETE, {"key": name})


_ONE_PATH = "/resource_classes/{name}"
_RULE = "placement:resource_classes"
_UNTIL = Microversion(1, 6)

ROUTES = (
    Route("GET", "/resource_classes", shows(list_), f"{_RULE}:list", since=SINCE),
    Route("POST", "/resource_classes", takes(create), f"{_RULE}:create", since=SINCE, body=ClassFields, status=201),
    Route("GET", _ONE_PATH, shows(show), f"{_RULE}:show", since=SINCE),
    Route("PUT", _ONE_PATH, takes(rename), f"{_RULE}:update", since=SINCE, until=_UNTIL, body=ClassFields),
    Route("PUT", _ONE_PATH, put, f"{_RULE}:update", since=Microversion(1, 7)),
    Route("DELETE", _ONE_PATH, delete, f"{_RULE}:delete", since=SINCE, status=204),
)
