"""The names of what assignments refer to, each looked up once."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.users import tables as user_tables

_STATEMENTS = {
    "user": user_tables.BY_ID,
    "group": user_tables.GROUP_BY_ID,
    "project": project_tables.BY_ID,
    "domain": project_tables.BY_ID,
    "role": role_tables.BY_ID,
}


class Names:
    """References with names, and with the domain of what has one."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def reference(self, kind: str, resource_id: str) -> dict[str, Any]:
        """The id, name and domain of a user, group, project, domain or role."""
        key = (kind, resource_id)
        if key not in self._known:
            self._known[key] = self._look_up(kind, resource_id)
        return self._known[key]

    def _look_up(self, kind: str, resource_id: str) -> dict[str, Any]:
        row = self._tx.first(_STATEMENTS[kind], {"id": resource_id})
        if row is None:
            return {"id": resource_id, "name": ""}
        found = {"id": row.id, "name": row.name}
        if kind != "domain" and row.domain_id:
            found["domain"] = self.reference("domain", row.domain_id)
        return found
