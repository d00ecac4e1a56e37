"""What a trust rests on: the trusts that it was handed on from, and the roles that the first trustor has today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.trusts import tables


def of(tx: Transaction, trust: Row[Any]) -> list[Row[Any]]:
    """The trust, and those that it was handed on from, the first one last."""
    found = [trust]
    while found[-1].redelegated_trust_id is not None:
        above = tx.first(tables.BY_ID, {"id": found[-1].redelegated_trust_id})
        if above is None:
            break
        found.append(above)
    return found


def is_over(tx: Transaction, trust: Row[Any]) -> bool:
    """Whether its time is over."""
    return trust.expires_at is not None and bool(trust.expires_at <= tx.now)


def role_ids(tx: Transaction, trust: Row[Any]) -> list[str]:
    """The roles that it was made with, but for those deleted since."""
    return sorted(row.role_id for row in tx.all(tables.ROLE_IDS, {"id": trust.id}))


def roles_to_lend(tx: Transaction, user_id: str, project_id: str | None) -> set[str]:
    """The ids of all roles that a user has on a project, with implied ones and those of domains."""
    project = tx.first(project_tables.BY_ID, {"id": project_id}) if project_id else None
    if project is None:
        return set()
    given = tx.all(
        assignment_tables.OF_ACTORS_AT,
        {
            "user_id": user_id,
            "groups": effective.group_ids(tx, user_id),
            "kind": assignment_tables.PROJECT,
            "id": project.id,
            "above": [row.id for row in effective.ancestors(tx, project)],
        },
    )
    return set(effective.expand(tx, {row.role_id for row in given}))


def roles_lent(tx: Transaction, chain: Sequence[Row[Any]]) -> Iterable[str] | None:
    """The ids of the roles that a trust's tokens have; None when the first trustor has not all of them any more."""
    lent = set(effective.expand(tx, role_ids(tx, chain[0])))
    if not lent <= roles_to_lend(tx, chain[-1].trustor_user_id, chain[0].project_id):
        return None
    return [row.id for row in effective.roles_in_tokens(tx, lent)]
