"""Which assignments a list wants, and reading those alone from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import tables
from stackyard.services.identity.assignments.tables import assignments
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.users.tables import present_members as members

Columns = assignments.c
_ORDER = (Columns.target_kind, Columns.target_id, Columns.actor_kind, Columns.actor_id, Columns.role_id)


@dataclass(frozen=True, slots=True)
class Branch:
    """One project, or one with all below it: each project's id -> its parent's, and the same for those above."""

    projects: Mapping[str, str | None]
    above: Mapping[str, str | None]

    def heads(self, project_id: str) -> list[str]:
        """What stands above a project, nearest first, its domain last."""
        parents = {**self.above, **self.projects}
        found: list[str] = []
        parent = parents.get(project_id)
        while parent is not None:
            found.append(parent)
            parent = parents.get(parent)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is narrowed to; None where it is not. `within` is the domain that a caller may see."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    branch: Branch | None = None
    inherited: bool | None = None
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The clauses of a statement on assignments, and the values they are bound to."""

    clauses: tuple[ColumnElement[bool], ...]
    values: Mapping[str, Any]

    def rows(self, tx: Transaction) -> list[Row[Any]]:
        """The assignments as they were given."""
        return list(tx.all(sa.select(assignments).where(*self.clauses).order_by(*_ORDER), self.values))

    def members(self, tx: Transaction, user_id: str | None) -> dict[str, list[str]]:
        """Group -> the users in it (one of them alone if wanted), of the groups that have one of these assignments."""
        having = sa.select(Columns.actor_id).where(*self.clauses, Columns.actor_kind == tables.GROUP)
        statement = sa.select(members).where(members.c.group_id.in_(having)).order_by(members.c.user_id)
        values = {**self.values, "now": tx.now}
        if user_id is not None:
            statement = statement.where(members.c.user_id == bindparam("member"))
            values["member"] = user_id
        found: dict[str, list[str]] = {}
        for row in tx.all(statement, values):
            found.setdefault(row.group_id, []).append(row.user_id)
        return found

    def below(self, tx: Transaction) -> dict[str, list[str]]:
        """Project or domain -> all projects below it, of those where one of these assignments is inherited from."""
        heads = sa.select(Columns.target_id).where(*self.clauses, Columns.inherited.is_(True))
        tree = (
            sa.select(projects.c.parent_id.label("head"), projects.c.id.label("id"))
            .where(projects.c.parent_id.in_(heads))
            .cte("below", recursive=True)
        )
        tree = tree.union(sa.select(tree.c.head, projects.c.id).where(projects.c.parent_id == tree.c.id))
        found: dict[str, list[str]] = {}
        for row in tx.all(sa.select(tree.c.head, tree.c.id).order_by(tree.c.head, tree.c.id), self.values):
            found.setdefault(row.head, []).append(row.id)
        return found


def as_given(wanted: Wanted) -> Selection:
    """The assignments that are themselves what is wanted."""
    clauses, values = _common(wanted)
    if wanted.user_id is not None:
        clauses.append(sa.and_(Columns.actor_kind == tables.USER, Columns.actor_id == bindparam("user")))
        values["user"] = wanted.user_id
    if wanted.group_id is not None:
        clauses.append(sa.and_(Columns.actor_kind == tables.GROUP, Columns.actor_id == bindparam("group")))
        values["group"] = wanted.group_id
    if wanted.role_id is not None:
        clauses.append(Columns.role_id == bindparam("role"))
        values["role"] = wanted.role_id
    if wanted.domain_id is not None:
        clauses.append(_AT_DOMAIN)
        values["domain"] = wanted.domain_id
    if wanted.branch is not None:
        clauses.append(_AT_PROJECTS)
        values["projects"] = list(wanted.branch.projects)
    return Selection(tuple(clauses), values)


def leading_to(tx: Transaction, wanted: Wanted) -> Selection:
    """The assignments from which, directly or not, something comes that is wanted."""
    clauses, values = _common(wanted)
    if wanted.user_id is not None:
        groups = sa.select(members.c.group_id).where(members.c.user_id == bindparam("user"))
        by_group = sa.and_(Columns.actor_kind == tables.GROUP, Columns.actor_id.in_(groups))
        directly = sa.and_(Columns.actor_kind == tables.USER, Columns.actor_id == bindparam("user"))
        clauses.append(sa.or_(directly, by_group))
        values |= {"user": wanted.user_id, "now": tx.now}
    if wanted.role_id is not None:
        clauses.append(Columns.role_id.in_(bindparam("roles", expanding=True)))
        values["roles"] = sorted(_priors(tx, wanted.role_id))
    if wanted.domain_id is not None:
        clauses.append(sa.and_(_AT_DOMAIN, Columns.inherited.is_(False)))
        values["domain"] = wanted.domain_id
    if wanted.branch is not None:
        heads = Columns.target_id.in_(bindparam("heads", expanding=True))
        by_inheritance = sa.and_(heads, Columns.inherited.is_(True))
        clauses.append(sa.or_(sa.and_(_AT_PROJECTS, Columns.inherited.is_(False)), by_inheritance))
        values["projects"] = list(wanted.branch.projects)
        values["heads"] = [*wanted.branch.projects, *wanted.branch.above]
    return Selection(tuple(clauses), values)


_AT_DOMAIN = sa.and_(Columns.target_kind == tables.DOMAIN, Columns.target_id == bindparam("domain"))
_AT_PROJECTS = sa.and_(
    Columns.target_kind == tables.PROJECT, Columns.target_id.in_(bindparam("projects", expanding=True))
)
_WITHIN = sa.or_(
    sa.and_(Columns.target_kind == tables.DOMAIN, Columns.target_id == bindparam("within")),
    sa.and_(
        Columns.target_kind == tables.PROJECT,
        Columns.target_id.in_(
            sa.select(projects.c.id).where(
                sa.or_(projects.c.domain_id == bindparam("within"), projects.c.id == bindparam("within"))
            )
        ),
    ),
)


def _common(wanted: Wanted) -> tuple[list[ColumnElement[bool]], dict[str, Any]]:
    clauses: list[ColumnElement[bool]] = []
    values: dict[str, Any] = {}
    if wanted.system:
        clauses.append(Columns.target_kind == tables.SYSTEM)
    if wanted.inherited is not None:
        clauses.append(Columns.inherited.is_(wanted.inherited))
    if wanted.within is not None:
        clauses.append(_WITHIN)
        values["within"] = wanted.within
    return clauses, values


def _priors(tx: Transaction, role_id: str) -> set[str]:
    """The role, and all that imply it."""
    rules = tx.all(role_tables.IMPLICATIONS)
    found, waiting = {role_id}, [role_id]
    while waiting:
        implied = waiting.pop()
        for rule in rules:
            if rule.implied_id == implied and rule.prior_id not in found:
                found.add(rule.prior_id)
                waiting.append(rule.prior_id)
    return found
