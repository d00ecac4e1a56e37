"""The row of a project's own that a call is about: volumes, snapshots, backups, groups and their snapshots alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.volume.faults import not_found


class OwnedRows:
    """Finds the rows of a table with the columns `id`, `project_id` and `created_at`.

    `noun` is what errors call such a row ("Volume" gives VolumeNotFound), `path_key` its id's name in paths.
    """

    def __init__(self, table: sa.Table, noun: str, path_key: str) -> None:
        columns = table.c
        self._noun = noun
        self._path_key = path_key
        self._by_id = sa.select(table).where(columns.id == bindparam("key"))
        self._by_ids = sa.select(table).where(columns.id.in_(bindparam("keys", expanding=True)))
        self._of_project = (
            sa.select(table)
            .where(columns.project_id == bindparam("project"))
            .order_by(columns.created_at.desc(), columns.id.desc())
        )

    def by_id(self, tx: Transaction, row_id: str) -> Any:
        """The row, whoever's it is; None when there is none."""
        return tx.first(self._by_id, {"key": row_id})

    def by_ids(self, tx: Transaction, row_ids: Iterable[str]) -> dict[str, Any]:
        """The rows of those that are there, by id."""
        keys = sorted(set(row_ids))
        return {row.id: row for row in tx.all(self._by_ids, {"keys": keys})} if keys else {}

    def of_project(self, tx: Transaction, project_id: str | None) -> list[Any]:
        """A project's rows, the newest first."""
        return list(tx.all(self._of_project, {"project": project_id}))

    def find(self, tx: Transaction, caller: Caller, row_id: str) -> Any:
        """A row that the caller may know of: his project's, any for an administrator; raises the noun's NotFound."""
        row = self.by_id(tx, row_id) if ids.is_uuid(row_id) else None
        if row is None or (row.project_id != caller.project_id and not caller.is_admin):
            raise not_found(self._noun, row_id[:80])
        return row

    def load(self, tx: Transaction, call: Call) -> Any:
        """The row of the path; raises the noun's NotFound."""
        return self.find(tx, call.caller, call.path[self._path_key])
