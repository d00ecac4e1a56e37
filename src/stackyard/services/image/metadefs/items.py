"""What lies in a namespace: properties, objects, tags, and the types of resource it is for. One shape for the four."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError

from stackyard.core.call import Call
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.services.image.metadefs import tables
from stackyard.services.image.metadefs.bodies import by_name, check_name, document, refuse_read_only
from stackyard.services.image.metadefs.tables import OBJECTS, PROPERTIES, RESOURCE_TYPES, TAGS

_LARGEST_NUMBER = 2**31 - 1
_SORT_KEYS = ("name", "created_at", "updated_at")
_WORDS = {OBJECTS: "object", PROPERTIES: "property", TAGS: "tag", RESOURCE_TYPES: "resource type association"}


def property_view(item: Any) -> dict[str, Any]:
    """A property's definition."""
    return {"name": item.name, **item.document}


def object_view(namespace: str, item: Any) -> dict[str, Any]:
    """A group of properties."""
    return {
        "name": item.name,
        "properties": {},
        "required": [],
        **item.document,
        **_times(item),
        "self": f"/v2/metadefs/namespaces/{namespace}/objects/{item.name}",
        "schema": "/v2/schemas/metadefs/object",
    }


def tag_view(item: Any) -> dict[str, Any]:
    """A tag."""
    return {"name": item.name, **_times(item)}


def association_view(item: Any) -> dict[str, Any]:
    """A type of resource that a namespace is for."""
    return {"name": item.name, **item.document, **_times(item)}


def _times(item: Any) -> dict[str, str]:
    return {"created_at": iso_z(item.created_at), "updated_at": iso_z(item.updated_at)}


def _view(call: Call, kind: str, item: Any) -> dict[str, Any]:
    if kind == OBJECTS:
        return object_view(call.target["namespace"], item)
    if kind == PROPERTIES:
        return property_view(item)
    return tag_view(item) if kind == TAGS else association_view(item)


class Items:
    """The operations on one kind of thing in a namespace."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.word = _WORDS[kind]

    def _find(self, tx: Transaction, call: Call, name: str) -> Any:
        item = None if "\0" in name else tables.item(tx, call.target["id"], self.kind, name)
        if item is None:
            raise NotFound(
                f"The metadata definition {self.word} with name={name[:80]} was not found in "
                f"namespace={call.target['namespace']}."
            )
        return item

    def _prefix(self, tx: Transaction, call: Call) -> str:
        """What the namespace puts before its properties' names on the type of resource that the query names."""
        asked = call.query.get("resource_type")
        if not asked or self.kind != PROPERTIES:
            return ""
        association = tables.item(tx, call.target["id"], RESOURCE_TYPES, asked)
        if association is None:
            raise NotFound(
                f"The metadata definition resource type association of {asked[:80]} was not found in "
                f"namespace={call.target['namespace']}."
            )
        prefix = str(association.document.get("prefix", ""))
        if not prefix or not call.path["name"].startswith(prefix):
            raise NotFound(
                f"Property {call.path['name'][:80]} does not start with the expected resource type association "
                f"prefix of '{prefix}'."
            )
        return prefix

    def _add(self, tx: Transaction, call: Call, name: str, content: dict[str, Any]) -> dict[str, Any]:
        check_name(name)
        taken = Conflict(
            f"A metadata definition {self.word} with name={name} already exists in "
            f"namespace={call.target['namespace']}."
        )
        if tables.item(tx, call.target["id"], self.kind, name) is not None:
            raise taken
        try:
            with tx.savepoint():
                tables.add(tx, call.target["id"], self.kind, {name: content})
        except IntegrityError:
            raise taken from None
        return _view(call, self.kind, self._find(tx, call, name))

    def create(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """Put one more into the namespace."""
        refuse_read_only(call.body)
        return self._add(tx, call, call.body.name, document(call.body))

    def create_named(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """The same by the address alone, for what has nothing but a name."""
        return self._add(tx, call, call.path["name"], {})

    def create_many(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """Put several in, in the place of all that are there, or after them with the header X-Openstack-Append."""
        documents = by_name(call.body.tags)
        if call.request.headers.get("x-openstack-append", "").lower() in ("true", "1", "yes", "on", "t", "y"):
            present = {row.name for row in tables.of_kind(tx, call.target["id"], self.kind)}
            if taken := sorted(present & documents.keys()):
                raise Conflict(f"The {self.kind} {', '.join(taken[:5])} are in the namespace already.")
        elif documents:
            tables.remove(tx, call.target["id"], self.kind)
        tables.add(tx, call.target["id"], self.kind, documents)
        return {self.kind: [{"name": name} for name in documents]}

    def list_(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """All of the kind in the namespace."""
        rows = tables.of_kind(tx, call.target["id"], self.kind)
        if self.kind == TAGS:
            return {"tags": [{"name": row.name} for row in _page(call, rows)]}
        views = [_view(call, self.kind, row) for row in rows]
        if self.kind == PROPERTIES:
            named = {view["name"]: {key: value for key, value in view.items() if key != "name"} for view in views}
            return {"properties": named}
        if self.kind == RESOURCE_TYPES:
            return {"resource_type_associations": views}
        return {self.kind: views, "schema": f"/v2/schemas/metadefs/{self.kind}"}

    def show(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """One of them."""
        name = call.path["name"].removeprefix(self._prefix(tx, call))
        return _view(call, self.kind, self._find(tx, call, name))

    def update(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """Rewrite one, its name as well."""
        refuse_read_only(call.body)
        before = self._find(tx, call, call.path["name"])
        after = check_name(call.body.name)
        if after != before.name and tables.item(tx, call.target["id"], self.kind, after) is not None:
            raise Conflict(f"A metadata definition {self.word} with name={after} already exists.")
        tables.change(tx, call.target["id"], self.kind, before.name, after, document(call.body))
        return _view(call, self.kind, self._find(tx, call, after))

    def delete(self, tx: Transaction, call: Call) -> None:
        """Take one out."""
        item = self._find(tx, call, call.path["name"])
        self._refuse_protected(call)
        tables.remove(tx, call.target["id"], self.kind, item.name)

    def delete_all(self, tx: Transaction, call: Call) -> None:
        """Take all of the kind out."""
        self._refuse_protected(call)
        tables.remove(tx, call.target["id"], self.kind)

    def _refuse_protected(self, call: Call) -> None:
        if call.target["protected"]:
            words = self.kind.replace("_", " ")
            raise Forbidden(f"Metadata definition namespace {call.target['namespace']} is protected: its {words} stay.")


def _page(call: Call, rows: Sequence[Any]) -> Sequence[Any]:
    """The part of a namespace's tags that the query asks for, latest first unless it says otherwise."""
    query = call.query
    key, direction = query.get("sort_key", "created_at") or "", query.get("sort_dir", "desc")
    if key not in _SORT_KEYS:
        raise BadRequest(f"Invalid sort key: {key[:80]}. It must be one of {', '.join(_SORT_KEYS)}.")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {direction}")
    limit = query.integer("limit", _LARGEST_NUMBER)
    if limit < 0:
        raise BadRequest("limit param must be positive")
    found = sorted(rows, key=lambda row: (getattr(row, key), row.created_at, row.name), reverse=direction == "desc")
    marker = query.get("marker")
    if marker:
        names = [row.name for row in found]
        if marker not in names:
            raise NotFound(f"The metadata definition tag with name={marker[:80]} was not found.")
        found = found[names.index(marker) + 1 :]
    return found[:limit]
