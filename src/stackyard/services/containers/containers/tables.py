"""The containers table, and the statements that everything here uses.

Three kinds of columns: what the user asked for (most of it in `spec`, which never changes but by a rebuild), what is
wanted now (`wanted` and the counters beside it), and what was observed last. The reconciler compares the counters: a
run or a build that was asked for (`run`, `build`) and not done yet (`run_done`, `build_done`) is to be done. `version`
grows with every request, so that a reconciler that worked on an older wish does not overwrite a newer one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Moment, Transaction, metadata

containers = sa.Table(
    "containers",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False, index=True),
    sa.Column("image", sa.String(255), nullable=False),
    sa.Column("image_driver", sa.String(16), nullable=False),
    sa.Column("image_id", sa.String(36), nullable=True),
    sa.Column("cpu", sa.Float, nullable=False),
    sa.Column("memory", sa.Integer, nullable=False),
    sa.Column("disk", sa.Integer, nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("hostname", sa.String(255), nullable=False),
    sa.Column("interactive", sa.Boolean, nullable=False),
    sa.Column("tty", sa.Boolean, nullable=False),
    sa.Column("auto_remove", sa.Boolean, nullable=False),
    sa.Column("auto_heal", sa.Boolean, nullable=False),
    sa.Column("registry_id", sa.String(36), nullable=True),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("interfaces", sa.JSON, nullable=False),
    sa.Column("addresses", sa.JSON, nullable=False),
    sa.Column("security_groups", sa.JSON, nullable=False),
    sa.Column("own_group_id", sa.String(36), nullable=True),
    sa.Column("wanted", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("run_done", sa.Integer, nullable=False),
    sa.Column("build", sa.Integer, nullable=False),
    sa.Column("build_done", sa.Integer, nullable=False),
    sa.Column("stop_first", sa.Boolean, nullable=False),
    sa.Column("stop_timeout", sa.Integer, nullable=True),
    sa.Column("limits_changed", sa.Boolean, nullable=False),
    sa.Column("wiring_changed", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=True),
    sa.Column("task_state", sa.String(32), nullable=True),
    sa.Column("observed", sa.JSON, nullable=False),
    sa.Column("boot_id", sa.String(64), nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
)

INSERT = sa.insert(containers)
BY_UUID = sa.select(containers).where(containers.c.uuid == bindparam("uuid"))
BY_NAME = sa.select(containers).where(containers.c.name == bindparam("name")).limit(2)
BY_NAME_OF_PROJECT = BY_NAME.where(containers.c.project_id == bindparam("project_id"))
DELETE = sa.delete(containers).where(containers.c.uuid == bindparam("uuid"))

_updates: dict[tuple[str, ...], sa.Update] = {}


def by_uuid(tx: Transaction, uuid: str) -> Row[Any] | None:
    """One container's row, or None."""
    return tx.first(BY_UUID, {"uuid": uuid})


def update(tx: Transaction, row: Any, **values: Any) -> None:
    """What a request changes; from now on no reconciler writes the outcome of an older wish."""
    changed = {**values, "version": row.version + 1, "updated_at": tx.now}
    tx.execute(_statement(changed), {"at_uuid": row.uuid, **changed})


def write_outcome(tx: Transaction, row: Any, **values: Any) -> bool:
    """What a reconciler found or did; False, and nothing written, when a request has changed the wish meanwhile."""
    changed = {**values, "updated_at": tx.now}
    statement = _statement(changed, same_version=True)
    return tx.execute(statement, {"at_uuid": row.uuid, "at_version": row.version, **changed}).rowcount == 1


def _statement(values: dict[str, Any], *, same_version: bool = False) -> sa.Update:
    shape = (*sorted(values), "=" if same_version else "")
    found = _updates.get(shape)
    if found is None:
        found = sa.update(containers).where(containers.c.uuid == bindparam("at_uuid"))
        if same_version:
            found = found.where(containers.c.version == bindparam("at_version"))
        _updates[shape] = found = found.values({name: bindparam(name) for name in values})
    return found
