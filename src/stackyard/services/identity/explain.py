"""What `stackyard why` and `status` tell of projects and users."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.users.tables import users

_TABLES = {"project": projects, "user": users}
_ONE = {kind: sa.select(table).where(table.c.id == bindparam("id")) for kind, table in _TABLES.items()}
_NAMED = {kind: sa.select(table.c.id).where(table.c.name == bindparam("name")) for kind, table in _TABLES.items()}
_COUNTS = {kind: sa.select(sa.func.count()).select_from(table) for kind, table in _TABLES.items()}


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """The project or user of this id."""
    found = []
    for kind, statement in _ONE.items():
        row = tx.first(statement, {"id": resource_id})
        if row is not None:
            status = "enabled" if row.enabled else "disabled"
            owners = (f"domain {row.domain_id}",) if row.domain_id else ()
            found.append(Explanation(kind=kind, id=row.id, name=row.name, status=status, owners=owners))
    return found


def named(tx: Transaction, name: str) -> list[str]:
    """Ids of the projects and users of this name."""
    return [row.id for statement in _NAMED.values() for row in tx.all(statement, {"name": name})]


def counts(tx: Transaction) -> dict[str, int]:
    """How many there are of each; a domain is a project too."""
    return {f"{kind}s": int(tx.scalar(statement)) for kind, statement in _COUNTS.items()}
