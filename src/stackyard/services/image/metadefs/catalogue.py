"""The standard catalogue: Glance's own definitions of the properties that OpenStack's services know.

It is loaded once in a cloud's life. What an administrator changes or deletes of it afterwards stays so. The data,
`catalogue.json`, is OpenStack Glance's (see catalogue.NOTICE); `scripts/metadefs_catalogue.py` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from stackyard.core import facts, ids
from stackyard.core.db import Transaction
from stackyard.services.image.metadefs.tables import (
    OBJECTS,
    PROPERTIES,
    RESOURCE_TYPES,
    TAGS,
    items,
    namespaces,
)

FACT = "image.metadefs"
OWNER = "admin"
"""Whose the namespaces are, as in Glance: a word, no project, so that only administrators change them."""

_DATA = Path(__file__).with_name("catalogue.json")
_NAMES = sa.select(namespaces.c.namespace)
_INSERT_NAMESPACES = sa.insert(namespaces)
_INSERT_ITEMS = sa.insert(items)


def load(tx: Transaction) -> None:
    """Put the catalogue into a cloud that has never had it; a namespace that exists under its name stays as it is."""
    if facts.get(tx, FACT) is not None:
        return
    catalogue = msgspec.json.decode(_DATA.read_bytes())
    present = {row.namespace for row in tx.all(_NAMES)}
    moment = {"created_at": tx.now, "updated_at": tx.now}
    new_namespaces: list[dict[str, Any]] = []
    new_items: list[dict[str, Any]] = []
    for document in catalogue["namespaces"]:
        if document["namespace"] in present:
            continue
        row = {
            "id": ids.new_uuid(),
            "namespace": document["namespace"],
            "project_id": OWNER,
            "display_name": document.get("display_name"),
            "description": document.get("description"),
            "visibility": document.get("visibility", "public"),
            "protected": document.get("protected", False),
        }
        new_namespaces.append(row | moment)
        for kind, name, content in _contents(document):
            new_items.append({"namespace_id": row["id"], "kind": kind, "name": name, "document": content, **moment})
    for statement, rows in ((_INSERT_NAMESPACES, new_namespaces), (_INSERT_ITEMS, new_items)):
        if rows:
            tx.execute(statement, rows)
    facts.put(tx, FACT, catalogue["source"])


def _contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, name and content of all that lies in a namespace."""
    for name, definition in document.get("properties", {}).items():
        yield PROPERTIES, name, definition
    for kind, key in ((OBJECTS, "objects"), (TAGS, "tags"), (RESOURCE_TYPES, "resource_type_associations")):
        for item in document.get(key, ()):
            yield kind, item["name"], {name: value for name, value in item.items() if name != "name"}
