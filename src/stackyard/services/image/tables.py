"""The image service's rows, and the statements that more than one module uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.generation import Generation

IMAGES = Generation("image", size=256)
"""The generation of all tables that a list of images is made from."""

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=True, index=True),
    sa.Column("name", sa.String(255), nullable=True, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("visibility", sa.String(16), nullable=False, index=True),
    sa.Column("disk_format", sa.String(20), nullable=True),
    sa.Column("container_format", sa.String(20), nullable=True),
    sa.Column("size", sa.BigInteger, nullable=True),
    sa.Column("virtual_size", sa.BigInteger, nullable=True),
    sa.Column("checksum", sa.String(32), nullable=True),
    sa.Column("os_hash_algo", sa.String(16), nullable=True),
    sa.Column("os_hash_value", sa.String(128), nullable=True),
    sa.Column("min_disk", sa.BigInteger, nullable=False),
    sa.Column("min_ram", sa.BigInteger, nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("os_hidden", sa.Boolean, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    # Which upload may finish: it is written before the first byte and compared when the last one is on disk.
    sa.Column("upload", sa.String(32), nullable=True),
    # Where the data lies, in the order added: {"store", "key" or "url", "metadata"}. No list at all is that of an image
    # from before there were several stores, whose data is in the store of files.
    sa.Column("locations", sa.JSON, nullable=True),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=False),
    info=IMAGES.info,
)

# Tags and properties once more, one a row, for lists to be narrowed by; the image's own columns are what is shown.
words = sa.Table(
    "image_words",
    metadata,
    sa.Column("image_id", sa.String(36), sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    info=IMAGES.info,
)

members = sa.Table(
    "image_members",
    metadata,
    sa.Column("image_id", sa.String(36), sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("member_id", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    # Whether the member may make others members: version 1's idea, of which version 2 knows nothing.
    sa.Column("can_share", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index("ix_image_members_member", "member_id", "status"),
    info=IMAGES.info,
)

tasks = sa.Table(
    "image_tasks",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("image_id", sa.String(36), nullable=False, index=True),
    sa.Column("project_id", sa.String(255), nullable=True),
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("request_id", sa.String(64), nullable=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("input", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON, nullable=True),
    # What the work needs to know and nobody is shown.
    sa.Column("work", sa.JSON, nullable=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=True),
)

# What may hold data of an image in a store that is not looked through at start: written before the first byte goes
# there, removed when the store says that nothing is left. It outlives the image.
copies = sa.Table(
    "image_copies",
    metadata,
    sa.Column("image_id", sa.String(36), primary_key=True),
    sa.Column("store", sa.String(64), primary_key=True),
    sa.Column("copy_key", sa.String(36), primary_key=True),
)

TAG = "tag"
PROPERTY = "property"

WITH_DATA = frozenset({"active", "deactivated"})
STATUSES = sa.select(images.c.id, images.c.status, images.c.locations)
_BY_ID = sa.select(images).where(images.c.id == bindparam("id"))
_INSERT = sa.insert(images)
_OF_IMAGE = copies.c.image_id == bindparam("i")
_ONE_COPY = sa.and_(_OF_IMAGE, copies.c.store == bindparam("s"), copies.c.copy_key == bindparam("k"))
_COPY = sa.select(copies).where(_ONE_COPY)
_COPIES = sa.select(copies).where(_OF_IMAGE)
_INSERT_COPY = sa.insert(copies)
_FORGET_COPY = sa.delete(copies).where(_ONE_COPY)
ALL_COPIES = sa.select(copies)
_FORGET_WORDS = sa.delete(words).where(words.c.image_id == bindparam("id"))
_INSERT_WORDS = sa.insert(words)


def find(tx: Transaction, image_id: str) -> sa.Row[Any] | None:
    """An image's row."""
    return tx.first(_BY_ID, {"id": image_id})


def locations_of(row: Any) -> list[dict[str, Any]]:
    """Where an image's data lies, in the order added."""
    if row.locations is None:
        return [{"store": "file", "metadata": {}}] if row.status in WITH_DATA else []
    return list(row.locations)


def expect_copy(tx: Transaction, image_id: str, store: str, key: str) -> None:
    """Say that a store may hold data from now on."""
    values = {"i": image_id, "s": store, "k": key}
    if tx.first(_COPY, values) is None:
        tx.insert_once(_INSERT_COPY, {"image_id": image_id, "store": store, "copy_key": key})


def copies_of(tx: Transaction, image_id: str) -> list[tuple[str, str]]:
    """Stores, with the key, that may hold data of an image."""
    return [(row.store, row.copy_key) for row in tx.all(_COPIES, {"i": image_id})]


def forget_copy(tx: Transaction, image_id: str, store: str, key: str) -> None:
    """Say that a store holds nothing more."""
    tx.execute(_FORGET_COPY, {"i": image_id, "s": store, "k": key})


def insert(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Add an image with its words."""
    tx.execute(_INSERT, row)
    index(tx, str(row["id"]), row["tags"], row["properties"])


def update(tx: Transaction, image_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of an image, its words with them, and its time of change."""
    tx.execute(sa.update(images).where(images.c.id == image_id).values({**values, "updated_at": tx.now}))
    if "tags" in values or "properties" in values:
        row = find(tx, image_id)
        if row is not None:
            tx.execute(_FORGET_WORDS, {"id": image_id})
            index(tx, image_id, row.tags, row.properties)


def index(tx: Transaction, image_id: str, tags: Iterable[str], properties: Mapping[str, str]) -> None:
    """Write the words of an image that has none."""
    rows = [{"image_id": image_id, "kind": TAG, "name": tag, "value": ""} for tag in tags]
    rows += [
        {"image_id": image_id, "kind": PROPERTY, "name": name, "value": value} for name, value in properties.items()
    ]
    if rows:
        tx.execute(_INSERT_WORDS, rows)


def move(tx: Transaction, image_id: str, token: str | None, status: str, values: Mapping[str, Any]) -> bool:
    """Change an image that is still in `status` under the upload `token`; False when it is not any more."""
    clause = sa.and_(images.c.id == image_id, images.c.status == status)
    clause = sa.and_(clause, images.c.upload == token) if token is not None else clause
    result = tx.execute(sa.update(images).where(clause).values({**values, "updated_at": tx.now}))
    return result.rowcount > 0
