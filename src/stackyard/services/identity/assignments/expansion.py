"""What role assignments come to: groups replaced by their members, inheritance by projects, roles by all they imply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import selection, tables
from stackyard.services.identity.assignments.selection import Selection, Wanted
from stackyard.services.identity.roles import tables as role_tables


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


def given(tx: Transaction, wanted: Wanted) -> list[Assignment]:
    """The assignments that were given, as far as they are wanted."""
    return [Assignment.of(row) for row in selection.as_given(wanted).rows(tx)]


def effective(tx: Transaction, wanted: Wanted) -> list[Assignment]:
    """The assignments of users at single targets that those given come to, as far as they are wanted."""
    sources = selection.leading_to(tx, wanted)
    rows = sources.rows(tx)
    by_group = any(row.actor_kind == tables.GROUP for row in rows)
    users = sources.members(tx, wanted.user_id) if by_group else {}
    below = _below(tx, wanted, sources) if any(row.inherited for row in rows) else {}
    found: dict[Assignment, None] = {}
    for row in rows:
        for by_user in _by_user(Assignment.of(row), users):
            for by_target in _by_target(by_user, below):
                found[by_target] = None
    return _by_role(tx, found, wanted.role_id)


def _below(tx: Transaction, wanted: Wanted, sources: Selection) -> Mapping[str, Sequence[str]]:
    """Project or domain -> the projects below it that are wanted."""
    if wanted.branch is None:
        return sources.below(tx)
    found: dict[str, list[str]] = {}
    for project_id in sorted(wanted.branch.projects):
        for head in wanted.branch.heads(project_id):
            found.setdefault(head, []).append(project_id)
    return found


def _by_user(item: Assignment, users: Mapping[str, Sequence[str]]) -> Iterator[Assignment]:
    if item.actor_kind == tables.USER:
        yield item
        return
    for user_id in users.get(item.actor_id, ()):
        yield replace(item, actor_kind=tables.USER, actor_id=user_id, group_id=item.actor_id)


def _by_target(item: Assignment, below: Mapping[str, Sequence[str]]) -> Iterator[Assignment]:
    if not item.inherited:
        yield item
        return
    above = (item.target_kind, item.target_id)
    for project_id in below.get(item.target_id, ()):
        yield replace(item, target_kind=tables.PROJECT, target_id=project_id, inherited=False, above=above)


def _by_role(tx: Transaction, items: Iterable[Assignment], role_id: str | None) -> list[Assignment]:
    """With what each role implies, once for each role that implies it directly; without roles of domains, which are
    not in tokens.
    """
    items = list(items)
    implied = _implied(tx, {item.role_id for item in items})
    wanted = {role for pairs in implied.values() for role, _ in pairs}
    rows = tx.all(role_tables.BY_IDS, {"ids": sorted(wanted)}) if wanted else []
    shown = {row.id for row in rows if row.domain_id == role_tables.GLOBAL and role_id in (None, row.id)}
    found: dict[Assignment, None] = {}
    for item in items:
        for role, prior in implied[item.role_id]:
            if role in shown:
                found[replace(item, role_id=role, prior_role_id=prior)] = None
    return list(found)


def _implied(tx: Transaction, role_ids: set[str]) -> dict[str, list[tuple[str, str | None]]]:
    """Role -> itself and each rule that it reaches, as (implied role, the role that implies it)."""
    rules: dict[str, list[str]] = {}
    for rule in tx.all(role_tables.IMPLICATIONS) if role_ids else ():
        rules.setdefault(rule.prior_id, []).append(rule.implied_id)
    found: dict[str, list[tuple[str, str | None]]] = {}
    for role_id in role_ids:
        pairs: dict[tuple[str, str | None], None] = {(role_id, None): None}
        waiting = [role_id]
        while waiting:
            prior = waiting.pop()
            for implied_id in rules.get(prior, ()):
                if (implied_id, prior) not in pairs:
                    pairs[(implied_id, prior)] = None
                    waiting.append(implied_id)
        found[role_id] = list(pairs)
    return found
