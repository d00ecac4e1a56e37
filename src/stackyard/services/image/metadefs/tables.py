"""The rows of metadata definitions: namespaces, and whatever lies in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata

OBJECTS, PROPERTIES, TAGS, RESOURCE_TYPES = "objects", "properties", "tags", "resource_types"

namespaces = sa.Table(
    "metadef_namespaces",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("namespace", sa.String(80), nullable=False, unique=True),
    sa.Column("project_id", sa.String(255), nullable=True),
    sa.Column("display_name", sa.String(80), nullable=True),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("visibility", sa.String(16), nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

items = sa.Table(
    "metadef_items",
    metadata,
    sa.Column(
        "namespace_id", sa.String(36), sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

_IN = items.c.namespace_id == bindparam("ns")
_KIND = sa.and_(_IN, items.c.kind == bindparam("k"))
_ONE = sa.and_(_KIND, items.c.name == bindparam("n"))
_BY_NAME = sa.select(namespaces).where(namespaces.c.namespace == bindparam("n"))
_ITEMS = sa.select(items).where(_IN).order_by(items.c.created_at, items.c.name)
_OF_KIND = sa.select(items).where(_KIND).order_by(items.c.created_at, items.c.name)
_ITEM = sa.select(items).where(_ONE)
_INSERT = sa.insert(items)
_DELETE_ITEM = sa.delete(items).where(_ONE)
_DELETE_KIND = sa.delete(items).where(_KIND)
_DELETE_ITEMS = sa.delete(items).where(_IN)
_UPDATE_ITEM = (
    sa.update(items).where(_ONE).values(name=bindparam("to"), document=bindparam("d"), updated_at=bindparam("now"))
)
_ASSOCIATIONS = sa.select(items).where(
    items.c.kind == RESOURCE_TYPES, items.c.namespace_id.in_(bindparam("ids", expanding=True))
)
_TYPE_NAMES = (
    sa.select(items.c.name, sa.func.min(items.c.created_at, type_=Moment).label("since"))
    .where(items.c.kind == RESOURCE_TYPES)
    .group_by(items.c.name)
)


def find(tx: Transaction, name: str) -> Any:
    """A namespace by name, or None."""
    return tx.first(_BY_NAME, {"n": name})


def all_items(tx: Transaction, namespace_id: str) -> Sequence[Any]:
    """Everything in a namespace, oldest first."""
    return tx.all(_ITEMS, {"ns": namespace_id})


def of_kind(tx: Transaction, namespace_id: str, kind: str) -> Sequence[Any]:
    """Everything of a kind in a namespace, oldest first."""
    return tx.all(_OF_KIND, {"ns": namespace_id, "k": kind})


def item(tx: Transaction, namespace_id: str, kind: str, name: str) -> Any:
    """One thing in a namespace, or None."""
    return tx.first(_ITEM, {"ns": namespace_id, "k": kind, "n": name})


def associations(tx: Transaction, namespace_ids: list[str]) -> Sequence[Any]:
    """The resource types of several namespaces."""
    return tx.all(_ASSOCIATIONS, {"ids": namespace_ids})


def type_names(tx: Transaction) -> dict[str, datetime]:
    """Every resource type that a namespace is associated with, and since when."""
    return {str(row.name): row.since for row in tx.all(_TYPE_NAMES)}


def add(tx: Transaction, namespace_id: str, kind: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Put things into a namespace, by name."""
    moment = {"created_at": tx.now, "updated_at": tx.now}
    rows = [
        {"namespace_id": namespace_id, "kind": kind, "name": name, "document": dict(document), **moment}
        for name, document in documents.items()
    ]
    if rows:
        tx.execute(_INSERT, rows)


def change(tx: Transaction, namespace_id: str, kind: str, name: str, to: str, document: Mapping[str, Any]) -> None:
    """Rename and rewrite a thing."""
    key = {"ns": namespace_id, "k": kind, "n": name}
    tx.execute(_UPDATE_ITEM, key | {"to": to, "d": dict(document), "now": tx.now})


def remove(tx: Transaction, namespace_id: str, kind: str | None = None, name: str | None = None) -> None:
    """Take one thing, everything of a kind, or everything out of a namespace."""
    if kind is None:
        tx.execute(_DELETE_ITEMS, {"ns": namespace_id})
    elif name is None:
        tx.execute(_DELETE_KIND, {"ns": namespace_id, "k": kind})
    else:
        tx.execute(_DELETE_ITEM, {"ns": namespace_id, "k": kind, "n": name})
