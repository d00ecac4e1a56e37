"""Files that came along with a create: kept in the database, laid on the host, and shown inside by a bind mount."""

from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction, metadata

container_files = sa.Table(
    "container_files",
    metadata,
    sa.Column("container_uuid", sa.String(36), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

_OF = (
    sa.select(container_files)
    .where(container_files.c.container_uuid == bindparam("uuid"))
    .order_by(container_files.c.position)
)
_DROP = sa.delete(container_files).where(container_files.c.container_uuid == bindparam("uuid"))


def keep(tx: Transaction, uuid: str, contents: list[bytes]) -> None:
    """Keep the contents, in order."""
    for position, content in enumerate(contents):
        row = {"container_uuid": uuid, "position": position, "content": content}
        tx.execute(sa.insert(container_files), row)


def read(tx: Transaction, uuid: str) -> list[bytes]:
    """The contents, in order."""
    return [row.content for row in tx.all(_OF, {"uuid": uuid})]


def drop(tx: Transaction, uuid: str) -> None:
    """The container is gone."""
    tx.execute(_DROP, {"uuid": uuid})


def folder(state_dir: Path, uuid: str) -> Path:
    """Where a container's files lie on the host."""
    return state_dir / "containers" / uuid


def place(state_dir: Path, uuid: str, contents: list[bytes]) -> list[Path]:
    """Write the files, unless they are there (the container may have changed them since)."""
    where = folder(state_dir, uuid)
    # What lies in it is readable by all, since nobody knows who reads it in the container; the way there is not.
    where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    where.mkdir(exist_ok=True, mode=0o755)
    found = []
    for position, content in enumerate(contents):
        path = where / str(position)
        if not path.exists():
            temporary = where / f".{position}.new"
            temporary.write_bytes(content)
            temporary.chmod(0o644)
            temporary.replace(path)
        found.append(path)
    return found


def remove(state_dir: Path, uuid: str) -> None:
    """Remove a container's files from the host."""
    shutil.rmtree(folder(state_dir, uuid), ignore_errors=True)
