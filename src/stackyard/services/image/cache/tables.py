"""What this host keeps of images' data, and what it is to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.runtime import Runtime
from stackyard.services.keys import HOST_NAME

QUEUED, CACHED = "queued", "cached"

cache = sa.Table(
    "image_cache",
    metadata,
    sa.Column("image_id", sa.String(36), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(8), nullable=False),
    # Whether there is a file of the cache's own; data in a store of files needs none.
    sa.Column("copied", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("hits", sa.BigInteger, nullable=False),
    sa.Column("last_accessed", Moment, nullable=False),
    sa.Column("last_modified", Moment, nullable=False),
)

_c = cache.c
_HERE = _c.host == bindparam("h")
_ONE = sa.and_(_c.image_id == bindparam("i"), _HERE)
_FIND = sa.select(cache).where(_ONE)
_LIST = sa.select(cache).where(_HERE).order_by(_c.last_accessed, _c.image_id)
_INSERT = sa.insert(cache)
_DELETE = sa.delete(cache).where(_ONE)
_HOSTS = sa.select(_c.host).where(_c.image_id == bindparam("i"))
_HIT = sa.update(cache).where(_ONE, _c.status == CACHED).values(hits=_c.hits + 1, last_accessed=bindparam("now"))
_DONE = (
    sa.update(cache)
    .where(_ONE)
    .values(
        status=CACHED, copied=bindparam("c"), size=bindparam("s"), last_accessed=bindparam("now"),
        last_modified=bindparam("now"),
    )
)  # fmt: skip


def host_of(runtime: Runtime) -> str:
    """The name of this host."""
    return runtime[HOST_NAME] if HOST_NAME in runtime else "localhost"  # noqa: SIM401 (it has no get)


def kind_of(host: str) -> str:
    """The kind of marks for what a host, and no other, is to fetch or remove; their ids are images'."""
    return f"image cache {host}"[:64]


def mark(tx: Transaction, host: str, image_id: str) -> None:
    """Have a host look at its copy of an image."""
    reconcile.mark(tx, kind_of(host), image_id)


def find(tx: Transaction, host: str, image_id: str) -> Any:
    """What this host has, or is to have, of an image."""
    return tx.first(_FIND, {"i": image_id, "h": host})


def rows(tx: Transaction, host: str) -> Sequence[Any]:
    """All that this host has or is to have, what was not read for longest first."""
    return tx.all(_LIST, {"h": host})


def queue(tx: Transaction, host: str, image_id: str) -> None:
    """Have an image fetched; no change for one that is here or queued."""
    if find(tx, host, image_id) is not None:
        return
    row = {"image_id": image_id, "host": host, "status": QUEUED, "copied": False, "size": 0, "hits": 0}
    tx.insert_once(_INSERT, row | {"last_accessed": tx.now, "last_modified": tx.now})
    mark(tx, host, image_id)


def keep(tx: Transaction, host: str, image_id: str, size: int, *, copied: bool) -> None:
    """Say that an image's data is here."""
    queue(tx, host, image_id)
    tx.execute(_DONE, {"i": image_id, "h": host, "c": copied, "s": size, "now": tx.now})


def hit(tx: Transaction, host: str, image_id: str) -> None:
    """Count a use."""
    tx.execute(_HIT, {"i": image_id, "h": host, "now": tx.now})


def drop(tx: Transaction, host: str, image_id: str) -> None:
    """Forget what this host has of an image, and have the file removed."""
    if tx.execute(_DELETE, {"i": image_id, "h": host}).rowcount:
        mark(tx, host, image_id)


def forget(tx: Transaction, image_id: str) -> None:
    """The image is being deleted: every host forgets it."""
    for row in tx.all(_HOSTS, {"i": image_id}):
        drop(tx, row.host, image_id)
