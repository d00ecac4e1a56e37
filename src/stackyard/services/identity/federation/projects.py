"""Projects that a mapping gives somebody roles in: made when they are missing, with those roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound
from stackyard.core.ids import new_hex
from stackyard.services.identity import changes
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.assignments.tables import assignments
from stackyard.services.identity.federation.mapping.engine import MappingError
from stackyard.services.identity.federation.references import domain_id
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.roles.tables import roles

SYNCHRONISING = "3.0"
"""The schema version whose mappings also take away what they no longer give."""

_ROLES_NAMED = sa.select(roles).where(roles.c.name == bindparam("name")).order_by(roles.c.domain_id)
_OWN = sa.select(assignments).where(
    assignments.c.actor_kind == assignment_tables.USER,
    assignments.c.actor_id == bindparam("user_id"),
    assignments.c.target_kind == assignment_tables.PROJECT,
    assignments.c.inherited.is_(False),
)
_MAX_NAME = 64


def provision(
    tx: Transaction,
    call: Call,
    whose: tuple[Row[Any], Row[Any]],
    projects: Sequence[Mapping[str, Any]],
    version: str,
) -> None:
    """Make what is missing for the provider and user in `whose`; raises NotFound for a role that there is not,
    Forbidden for one of another domain, MappingError for a project that cannot be.
    """
    idp, user = whose
    if not projects and version != SYNCHRONISING:
        return
    wanted_roles = [[_role(tx, role["name"], user.domain_id, idp.id) for role in one["roles"]] for one in projects]
    wanted = {
        (_project(tx, call, project, idp.domain_id), role_id)
        for project, ids in zip(projects, wanted_roles, strict=True)
        for role_id in ids
    }
    given = {(row.target_id, row.role_id) for row in tx.all(_OWN, {"user_id": user.id})}
    surplus = given - wanted if version == SYNCHRONISING else set()
    _apply(tx, user.id, assignment_tables.INSERT, sorted(wanted - given))
    _apply(tx, user.id, assignment_tables.DELETE, sorted(surplus))
    if wanted - given or surplus:
        changes.note(tx, call, "user", user.id)


def _apply(tx: Transaction, user_id: str, statement: sa.Insert | sa.Delete, pairs: Iterable[tuple[str, str]]) -> None:
    for project_id, role_id in pairs:
        tx.execute(
            statement,
            {
                "actor_kind": assignment_tables.USER,
                "actor_id": user_id,
                "target_kind": assignment_tables.PROJECT,
                "target_id": project_id,
                "role_id": role_id,
                "inherited": False,
            },
        )


def _role(tx: Transaction, name: str, domain_id: str, idp_id: str) -> str:
    """A role of the cloud or of the user's domain, by name."""
    rows = tx.all(_ROLES_NAMED, {"name": name})
    if not rows:
        raise NotFound(f"Could not find role: {name}.")
    for row in rows:
        if row.domain_id in (role_tables.GLOBAL, domain_id):
            return str(row.id)
    raise Forbidden(f"role: {name} must be within the same domain as the identity provider: {idp_id}.")


def _project(tx: Transaction, call: Call, project: Mapping[str, Any], default_domain: str) -> str:
    domain = domain_id(tx, project.get("domain") or {"id": default_domain})
    name = project["name"].strip()
    if not name or len(name) > _MAX_NAME or "\x00" in name:
        raise MappingError(f"The mapping makes a project without a name, or one of more than {_MAX_NAME} characters.")
    found = tx.first(project_tables.BY_NAME, {"domain_id": domain, "name": name})
    if found is not None:
        return str(found.id)
    project_id = new_hex()
    values: dict[str, Any] = {
        "id": project_id,
        "name": name,
        "domain_id": domain,
        "parent_id": domain,
        "is_domain": False,
        "enabled": True,
        "description": "",
        "options": {},
        "extra": {},
        "created_at": tx.now,
    }
    tx.execute(project_tables.INSERT, values)
    changes.note(tx, call, "project", project_id)
    return project_id
