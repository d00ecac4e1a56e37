"""The names of what assignments refer to, all those of a list looked up together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.roles.tables import roles
from stackyard.services.identity.users.tables import groups, users


def _named(table: sa.Table) -> sa.Select[Any]:
    wanted = table.c.id.in_(bindparam("ids", expanding=True))
    return sa.select(table.c.id, table.c.name, table.c.domain_id).where(wanted)


_STATEMENTS = {
    "user": _named(users),
    "group": _named(groups),
    "project": _named(projects),
    "domain": _named(projects),
    "role": _named(roles),
}
_AT_ONCE = 500
"""Ids in one statement; databases bound the number of parameters."""


class Names:
    """References with names, and with the domain of what has one. `wanted` are pairs of kind and id."""

    def __init__(self, tx: Transaction, wanted: Iterable[tuple[str, str]]) -> None:
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        by_kind: dict[str, set[str]] = {"domain": set()}
        for kind, resource_id in wanted:
            by_kind.setdefault(kind, set()).add(resource_id)
        domains = by_kind.pop("domain")
        rows = {kind: _rows(tx, kind, ids) for kind, ids in by_kind.items()}
        domains |= {row.domain_id for found in rows.values() for row in found if row.domain_id}
        for row in _rows(tx, "domain", domains):
            self._known["domain", row.id] = {"id": row.id, "name": row.name}
        for kind, found in rows.items():
            for row in found:
                known = {"id": row.id, "name": row.name}
                if row.domain_id:
                    known["domain"] = self.reference("domain", row.domain_id)
                self._known[kind, row.id] = known

    def reference(self, kind: str, resource_id: str) -> dict[str, Any]:
        """The id, name and domain of a user, group, project, domain or role; no name for what is there no more."""
        return self._known.get((kind, resource_id)) or {"id": resource_id, "name": ""}


def _rows(tx: Transaction, kind: str, ids: set[str]) -> list[Any]:
    ordered = sorted(ids)
    parts = [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]
    return [row for part in parts for row in tx.all(_STATEMENTS[kind], {"ids": part})]
