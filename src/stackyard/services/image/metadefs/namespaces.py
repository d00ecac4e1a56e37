"""Namespaces of metadata definitions: create, list, show, update, delete; and the types of resource there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import ids
from stackyard.core.call import Call, Query, Reply
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.paging import EVERYTHING, Filter, Listing, Page, Scope
from stackyard.services.image.metadefs import tables
from stackyard.services.image.metadefs.bodies import by_name, check_name, document, refuse_read_only
from stackyard.services.image.metadefs.items import association_view, object_view, property_view
from stackyard.services.image.metadefs.tables import OBJECTS, PROPERTIES, RESOURCE_TYPES, TAGS, namespaces

KNOWN_TYPES = ("OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server")
"""Types of resource that are always there to be associated with."""

_SORT_KEYS = ("namespace", "display_name", "visibility", "protected", "created_at", "updated_at")
_HAS_TYPE = sa.select(tables.items.c.namespace_id).where(tables.items.c.kind == RESOURCE_TYPES)
_listing = Listing(
    namespaces,
    {
        "visibility": Filter(namespaces.c.visibility),
        "resource_types": Filter(
            where=lambda names: namespaces.c.id.in_(_HAS_TYPE.where(tables.items.c.name.in_(names)))
        ),
    },
    sort_keys=_SORT_KEYS,
    page_size=25,
    key="namespace",
)
_SEEN = sa.or_(namespaces.c.visibility == "public", namespaces.c.project_id == bindparam("caller"))
_DELETE = sa.delete(namespaces).where(namespaces.c.id == bindparam("ns"))
_INSERT = sa.insert(namespaces)
_MADE_WITH = {
    "resource_type_associations": "add_metadef_resource_type_association",
    "objects": "add_metadef_object",
    "properties": "add_metadef_property",
    "tags": "add_metadef_tag",
}
"""Further rules of a new namespace, by what it is to hold."""
_SHOWN_WITH = ("get_metadef_objects", "get_metadef_properties", "get_metadef_tags")


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The namespace that the address names, if the caller may know of it."""
    row = _find(tx, call, call.path["namespace"])
    return {**row._mapping, "owner": row.project_id}


def _find(tx: Transaction, call: Call, name: str) -> Any:
    row = None if "\0" in name else tables.find(tx, name)
    caller = call.caller
    if row is None or not (caller.is_admin or row.visibility == "public" or row.project_id == caller.project_id):
        raise NotFound(f"Metadata definition namespace={name[:80]} was not found.")
    return row


def create(tx: Transaction, call: Call) -> Reply:
    """Make a namespace with whatever is sent to lie in it."""
    refuse_read_only(call.body)
    given = dict(call.body.given())
    for field, rule in _MADE_WITH.items():
        if given.get(field):
            call.require(rule)
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
        "display_name": given.get("display_name"),
        "description": given.get("description"),
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


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The namespaces that the caller may see."""
    call.require("list_metadef_resource_types")
    caller = call.caller
    scope = EVERYTHING if caller.is_admin else Scope("seen", _SEEN, {"caller": caller.project_id or ""})
    query = _paging(tx, call)
    page = Page((), None) if query is None else _listing.page(tx, query, scope)
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


def _paging(tx: Transaction, call: Call) -> Query | None:
    """The query as the kernel's Listing reads it, with Glance's order written out; None when no row is asked for."""
    query = call.query
    visibility, direction = query.get("visibility"), query.get("sort_dir", "desc")
    if visibility and visibility not in ("public", "private"):
        raise BadRequest(f"Invalid visibility value: {visibility[:80]}")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {direction}")
    marker, limit = query.get("marker"), query.get("limit")
    if marker:
        _find(tx, call, marker)
    order = dict.fromkeys((query.get("sort_key") or "created_at", "created_at", "namespace"), direction)
    pairs = [("sort", ",".join(f"{key}:{direction}" for key in order))]
    pairs += [(name, value) for name, value in (("limit", limit), ("marker", marker)) if value is not None]
    pairs += [("visibility", visibility)] if visibility else []
    pairs += [("resource_types", name) for name in (query.get("resource_types") or "").split(",") if name]
    return None if limit is not None and limit and not limit.strip("0") else Query(urlencode(pairs))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """A namespace with all that lies in it; `resource_type` puts that type's prefix before the properties' names."""
    for rule in ("list_metadef_resource_types", *_SHOWN_WITH):
        call.require(rule, call.target)
    view = _view(tables.find(tx, call.target["namespace"]), tables.all_items(tx, call.target["id"]))
    asked = call.query.get("resource_type")
    associations = view.get("resource_type_associations", ())
    prefix = next((entry.get("prefix") for entry in associations if entry["name"] == asked), None)
    if prefix:
        _prefix(view, prefix)
    return view


def _prefix(view: dict[str, Any], prefix: str) -> None:
    for holder in (view, *view.get(OBJECTS, ())):
        if holder.get(PROPERTIES):
            holder[PROPERTIES] = {prefix + name: one for name, one in holder[PROPERTIES].items()}
        if holder.get("required"):
            holder["required"] = [prefix + name for name in holder["required"]]


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Rewrite a namespace's own attributes, its name as well: what is left out is what a new one has by default."""
    refuse_read_only(call.body)
    given = dict(call.body.given())
    name = check_name(given["namespace"])
    if name != call.target["namespace"] and tables.find(tx, name) is not None:
        raise _taken(name)
    values = {
        "namespace": name,
        "display_name": given.get("display_name"),
        "description": given.get("description"),
        "visibility": given.get("visibility", "private"),
        "protected": given.get("protected", False),
        "project_id": given.get("owner", call.caller.project_id),
        "updated_at": tx.now,
    }
    tx.execute(sa.update(namespaces).where(namespaces.c.id == call.target["id"]).values(values))
    return _view(tables.find(tx, name), ())


def delete(tx: Transaction, call: Call) -> None:
    """Delete a namespace and all that lies in it."""
    if call.target["protected"]:
        raise Forbidden(f"Metadata definition namespace {call.target['namespace']} is protected and cannot be deleted.")
    tables.remove(tx, call.target["id"])
    tx.execute(_DELETE, {"ns": call.target["id"]})


def resource_types(tx: Transaction, call: Call) -> dict[str, Any]:
    """Every type of resource that there is or that a namespace names."""
    del call
    since: dict[str, Any] = dict.fromkeys(KNOWN_TYPES) | tables.type_names(tx)
    return {
        "resource_types": [
            {"name": name} if moment is None else {"name": name, "created_at": iso_z(moment)}
            for name, moment in sorted(since.items())
        ]
    }


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
    }
    view = {name: value for name, value in view.items() if value is not None}
    for item in contents:
        _place(view, row.namespace, item)
    return view


def _place(view: dict[str, Any], namespace: str, item: Any) -> None:
    if item.kind == RESOURCE_TYPES:
        view.setdefault("resource_type_associations", []).append(association_view(item))
    elif item.kind == PROPERTIES:
        view.setdefault(PROPERTIES, {})[item.name] = _nameless(property_view(item))
    elif item.kind == OBJECTS:
        view.setdefault(OBJECTS, []).append(object_view(namespace, item))
    else:
        view.setdefault(TAGS, []).append({"name": item.name})


def _nameless(view: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name != "name"}
