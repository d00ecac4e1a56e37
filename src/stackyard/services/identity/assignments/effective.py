"""Which roles a user really has somewhere: own and groups' assignments, inherited ones, and all that those imply."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import tables
from stackyard.services.identity.federation import present
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.users import tables as user_tables


def group_ids(tx: Transaction, user_id: str) -> list[str]:
    """The groups that a user belongs to, or does for now because an identity provider said so."""
    stored = [row.group_id for row in tx.all(user_tables.GROUP_IDS, {"user_id": user_id})]
    return stored + [row.group_id for row in present.memberships_of(tx, user_id)]


def ancestors(tx: Transaction, project: Row[Any]) -> list[Row[Any]]:
    """The projects above `project`, nearest first, its domain last."""
    found: list[Row[Any]] = []
    parent_id = project.parent_id
    while parent_id is not None:
        row = tx.first(project_tables.BY_ID, {"id": parent_id})
        if row is None:
            break
        found.append(row)
        parent_id = row.parent_id
    return found


def roles_of_user(
    tx: Transaction, user_id: str, kind: str, target: Row[Any] | None, further_groups: Iterable[str] = ()
) -> list[Row[Any]]:
    """The role rows of a user on a project or domain (its row), or the system (None), as a token lists them.

    `further_groups` are groups that the user counts as a member of beside those that are stored.
    """
    above = [row.id for row in ancestors(tx, target)] if kind == tables.PROJECT and target is not None else []
    found = tx.all(
        tables.OF_ACTORS_AT,
        {
            "user_id": user_id,
            "groups": [*group_ids(tx, user_id), *further_groups],
            "kind": kind,
            "id": tables.ALL if target is None else target.id,
            "above": above,
        },
    )
    return roles_in_tokens(tx, {row.role_id for row in found})


def roles_in_tokens(tx: Transaction, role_ids: Iterable[str]) -> list[Row[Any]]:
    """These roles and all they imply, without the domain-specific ones."""
    wanted = expand(tx, role_ids)
    if not wanted:
        return []
    return [row for row in tx.all(role_tables.BY_IDS, {"ids": sorted(wanted)}) if row.domain_id == role_tables.GLOBAL]


def expand(tx: Transaction, role_ids: Iterable[str]) -> dict[str, str | None]:
    """Each role and each one implied -> the role that brought it in (None for those given)."""
    found: dict[str, str | None] = dict.fromkeys(role_ids)
    if not found:
        return found
    rules = tx.all(role_tables.IMPLICATIONS)
    waiting = list(found)
    while waiting:
        prior = waiting.pop()
        for rule in rules:
            if rule.prior_id == prior and rule.implied_id not in found:
                found[rule.implied_id] = prior
                waiting.append(rule.implied_id)
    return found
