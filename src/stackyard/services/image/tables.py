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
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=True),
)

TAG = "tag"
PROPERTY = "property"

STATUSES = sa.select(images.c.id, images.c.status)
_BY_ID = sa.select(images).where(images.c.id == bindparam("id"))
_INSERT = sa.insert(images)
_FORGET_WORDS = sa.delete(words).where(words.c.image_id == bindparam("id"))
_INSERT_WORDS = sa.insert(words)


def find(tx: Transaction, image_id: str) -> sa.Row[Any] | None:
    """An image's row."""
    return tx.first(_BY_ID, {"id": image_id})


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
