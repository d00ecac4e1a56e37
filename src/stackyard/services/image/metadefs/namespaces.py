"""Namespaces of metadata definitions: create, list, show, update, delete; and the types of resource there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import ids
from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, Forbidden, NotFound
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.image.metadefs import tables
from stackyard.services.image.metadefs.bodies import by_name, check_name, document
from stackyard.services.image.metadefs.items import association_view, object_view, property_view, tag_view
from stackyard.services.image.metadefs.tables import OBJECTS, PROPERTIES, RESOURCE_TYPES, TAGS, namespaces

KNOWN_TYPES = ("OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server")
"""Types of resource that are always there to be associated with."""

_HAS_TYPE = sa.select(tables.items.c.namespace_id).where(tables.items.c.kind == RESOURCE_TYPES)
_listing = Listing(
    namespaces,
    {
        "visibility": Filter(namespaces.c.visibility),
        "resource_types": Filter(
            where=lambda names: namespaces.c.id.in_(_HAS_TYPE.where(tables.items.c.name.in_(names)))
        ),
    },
    sort_keys=("namespace", "created_at", "updated_at"),
    default_sort=(("created_at", "desc"), ("namespace", "desc")),
    page_size=25,
    key="namespace",
)
_SEEN = sa.or_(namespaces.c.visibility == "public", namespaces.c.project_id == bindparam("caller"))
_DELETE = sa.delete(namespaces).where(namespaces.c.id == bindparam("ns"))
_INSERT = sa.insert(namespaces)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The namespace that the address names, if the caller may know of it."""
    name = call.path["namespace"]
    row = None if "\0" in name else tables.find(tx, name)
    caller = call.caller
    if row is None or not (caller.is_admin or row.visibility == "public" or row.project_id == caller.project_id):
        raise NotFound(f"Metadata definition namespace={name[:80]} was not found.")
    return {**row._mapping, "owner": row.project_id}


def create(tx: Transaction, call: Call) -> Reply:
    """Make a namespace with whatever is sent to lie in it."""
    body = call.body
    given = dict(body.given())
    name = check_name(given["namespace"])
    contents = {
        PROPERTIES: {check_name(key): document(one) for key, one in (given.pop("properties", None) or {}).items()},
        OBJECTS: by_name(given.pop("objects", [])),
        TAGS: by_name(given.pop("tags", [])),
        RESOURCE_TYPES: by_name(given.pop("resource_type_associations", [])),
    }
    row = {
        "id": ids.new_uuid(),
        "namespace": name,
        "project_id": given.get("owner", call.caller.project_id),
        "display_name": _text(given.get("display_name")),
        "description": _text(given.get("description")),
        "visibility": given.get("visibility", "private"),
        "protected": given.get("protected", False),
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    if tables.find(tx, name) is not None:
        raise _taken(name)
    try:
        with tx.savepoint():
            tx.execute(_INSERT, row)
    except IntegrityError:
        raise _taken(name) from None
    for kind, documents in contents.items():
        tables.add(tx, row["id"], kind, documents)
    shown = _view(tables.find(tx, name), tables.all_items(tx, row["id"]))
    return Reply(shown, headers={"Location": call.url(shown["self"])})


def _taken(name: str) -> Conflict:
    return Conflict(f"A metadata definition namespace={name} already exists.")


def _text(value: str | None) -> str | None:
    return value if value is None else value.replace("\0", "")


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The namespaces that the caller may see."""
    caller = call.caller
    scope = EVERYTHING if caller.is_admin else Scope("seen", _SEEN, {"caller": caller.project_id or ""})
    page = _listing.page(tx, call.query, scope)
    found: dict[str, list[Any]] = {}
    for item in tables.associations(tx, [row.id for row in page.rows]):
        found.setdefault(item.namespace_id, []).append(item)
    pairs = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    link = "/v2/metadefs/namespaces"
    body = {
        "namespaces": [_view(row, found.get(row.id, ())) for row in page.rows],
        "first": f"{link}?{urlencode(pairs)}" if pairs else link,
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if page.marker is not None:
        body["next"] = f"{link}?{urlencode([*pairs, ('marker', page.marker)])}"
    return body


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """A namespace with all that lies in it; `resource_type` puts that type's prefix before the properties' names."""
    view = _view(tables.find(tx, call.target["namespace"]), tables.all_items(tx, call.target["id"]))
    asked = call.query.get("resource_type")
    prefixes = [entry.get("prefix", "") for entry in view["resource_type_associations"] if entry["name"] == asked]
    if prefixes and prefixes[0] and "properties" in view:
        view["properties"] = {prefixes[0] + name: one for name, one in view["properties"].items()}
    return view


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a namespace's own attributes, its name as well; what lies in it stays."""
    given = dict(call.body.given())
    values = {
        name: _text(value) if isinstance(value, str) else value for name, value in given.items() if name != "owner"
    }
    name = check_name(given["namespace"])
    if "owner" in given:
        values["project_id"] = given["owner"]
    if name != call.target["namespace"] and tables.find(tx, name) is not None:
        raise _taken(name)
    change = sa.update(namespaces).where(namespaces.c.id == call.target["id"])
    tx.execute(change.values({**values, "updated_at": tx.now}))
    return _view(tables.find(tx, name), tables.of_kind(tx, call.target["id"], RESOURCE_TYPES))


def delete(tx: Transaction, call: Call) -> None:
    """Delete a namespace and all that lies in it."""
    if call.target["protected"]:
        raise Forbidden(f"Metadata definition namespace {call.target['namespace']} is protected and cannot be deleted.")
    tables.remove(tx, call.target["id"])
    tx.execute(_DELETE, {"ns": call.target["id"]})


def resource_types(tx: Transaction, call: Call) -> dict[str, Any]:
    """Every type of resource that there is or that a namespace names."""
    del call
    names = sorted({*KNOWN_TYPES, *tables.type_names(tx)})
    return {"resource_types": [{"name": name} for name in names]}


def _view(row: Any, contents: Iterable[Any]) -> dict[str, Any]:
    link = f"/v2/metadefs/namespaces/{row.namespace}"
    view: dict[str, Any] = {
        "namespace": row.namespace,
        "display_name": row.display_name,
        "description": row.description,
        "visibility": row.visibility,
        "protected": row.protected,
        "owner": row.project_id,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "self": link,
        "schema": "/v2/schemas/metadefs/namespace",
        "resource_type_associations": [],
    }
    view = {name: value for name, value in view.items() if value is not None}
    for item in contents:
        _place(view, row.namespace, item)
    return view


def _place(view: dict[str, Any], namespace: str, item: Any) -> None:
    if item.kind == RESOURCE_TYPES:
        view["resource_type_associations"].append(association_view(item))
    elif item.kind == PROPERTIES:
        view.setdefault(PROPERTIES, {})[item.name] = _nameless(property_view(item))
    elif item.kind == OBJECTS:
        view.setdefault(OBJECTS, []).append(object_view(namespace, item))
    else:
        view.setdefault(TAGS, []).append(tag_view(item))


def _nameless(view: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name != "name"}
