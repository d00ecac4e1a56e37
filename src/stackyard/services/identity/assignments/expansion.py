"""What role assignments come to: groups replaced by their members, inheritance by projects, roles by all they imply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import effective as effective_roles
from stackyard.services.identity.assignments import reach, tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.users.tables import members

_MEMBERS = sa.select(members.c.group_id, members.c.user_id).order_by(members.c.user_id)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role of an actor at a target. `group_id`, `above` and `prior_role_id` say through what it comes about:
    membership, an assignment on the project or domain above (kind and id), a role that implies this one.
    """

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool
    group_id: str | None = None
    above: tuple[str, str] | None = None
    prior_role_id: str | None = None

    @classmethod
    def of(cls, row: Row[Any]) -> Assignment:
        """An assignment as it was given."""
        return cls(row.actor_kind, row.actor_id, row.target_kind, row.target_id, row.role_id, row.inherited)

    @property
    def comes_by_inheritance(self) -> bool:
        """Whether it is inherited to projects, or is so by now."""
        return self.inherited or self.above is not None


def effective(tx: Transaction, given: Iterable[Assignment]) -> list[Assignment]:
    """The assignments of users at single targets that those given come to."""
    users: dict[str, list[str]] = {}
    for row in tx.all(_MEMBERS):
        users.setdefault(row.group_id, []).append(row.user_id)
    below: dict[str, set[str]] = {}
    found: dict[Assignment, None] = {}
    for item in given:
        for by_user in _by_user(item, users):
            for by_target in _by_target(tx, by_user, below):
                found[by_target] = None
    return _by_role(tx, found)


def _by_user(item: Assignment, users: dict[str, list[str]]) -> Iterator[Assignment]:
    if item.actor_kind == tables.USER:
        yield item
        return
    for user_id in users.get(item.actor_id, ()):
        yield replace(item, actor_kind=tables.USER, actor_id=user_id, group_id=item.actor_id)


def _by_target(tx: Transaction, item: Assignment, below: dict[str, set[str]]) -> Iterator[Assignment]:
    if not item.inherited:
        yield item
        return
    if item.target_id not in below:
        below[item.target_id] = reach.below(tx, {item.target_id})
    for project_id in sorted(below[item.target_id]):
        above = (item.target_kind, item.target_id)
        yield replace(item, target_kind=tables.PROJECT, target_id=project_id, inherited=False, above=above)


def _by_role(tx: Transaction, items: Iterable[Assignment]) -> list[Assignment]:
    """With what each role implies; without roles of domains, which are not in tokens."""
    items = list(items)
    implied = {role_id: effective_roles.expand(tx, [role_id]) for role_id in {item.role_id for item in items}}
    wanted = {role_id for roles in implied.values() for role_id in roles}
    rows = tx.all(role_tables.BY_IDS, {"ids": sorted(wanted)}) if wanted else []
    in_tokens = {row.id for row in rows if row.domain_id == role_tables.GLOBAL}
    found: dict[Assignment, None] = {}
    for item in items:
        for role_id, prior in implied[item.role_id].items():
            if role_id in in_tokens:
                found[replace(item, role_id=role_id, prior_role_id=prior)] = None
    return list(found)
