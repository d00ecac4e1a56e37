"""Taking projects and domains away with all that hangs on them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.identity import attributes
from stackyard.services.identity.application_credentials import tables as credential_tables
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.credentials import store as credentials
from stackyard.services.identity.federation.removal import remove_providers_of_domain
from stackyard.services.identity.oauth1 import tables as oauth1_tables
from stackyard.services.identity.projects import tables, tree
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.trusts import tables as trust_tables
from stackyard.services.identity.users import tables as user_tables
from stackyard.services.identity.users.removal import remove_group, remove_user

_DEFAULT_NO_MORE = (
    sa.update(user_tables.users)
    .where(user_tables.users.c.default_project_id == bindparam("project"))
    .values(default_project_id=None)
)
_USERS = sa.select(user_tables.users.c.id).where(user_tables.users.c.domain_id == bindparam("id"))
_GROUPS = sa.select(user_tables.groups.c.id).where(user_tables.groups.c.domain_id == bindparam("id"))
_ROLES = sa.select(role_tables.roles).where(role_tables.roles.c.domain_id == bindparam("id"))
_DELETE_ROLES = sa.delete(role_tables.roles).where(role_tables.roles.c.domain_id == bindparam("id"))


def remove_project(tx: Transaction, call: Call, row: Row[Any]) -> None:
    """A project with its assignments, credentials, trusts, tags and quotas."""
    tx.execute(assignment_tables.DELETE_AT, {"kind": assignment_tables.PROJECT, "id": row.id})
    tx.execute(credential_tables.DELETE_AT_PROJECT, {"project_id": row.id})
    credentials.remove_at_project(tx, row.id)
    tx.execute(trust_tables.DELETE_AT_PROJECT, {"project_id": row.id})
    tx.execute(oauth1_tables.DELETE_AT_PROJECT, {"project_id": row.id})
    tx.execute(_DEFAULT_NO_MORE, {"project": row.id})
    call.runtime.quotas.forget_project(tx, row.id)
    tx.execute(tables.DELETE, {"id": row.id})


def remove_domain(tx: Transaction, call: Call, row: Row[Any]) -> None:
    """A domain with its projects, users, groups and roles; Forbidden when a project or role in it is immutable."""
    for project in tree.subtree(tx, row.id):
        attributes.check_mutable(project.options, "project", project.id)
    for role in tx.all(_ROLES, {"id": row.id}):
        attributes.check_mutable(role.options, "role", role.id)
    remove_providers_of_domain(tx, row.id)
    for user in tx.all(_USERS, {"id": row.id}):
        remove_user(tx, user.id)
    for group in tx.all(_GROUPS, {"id": row.id}):
        remove_group(tx, group.id)
    # From the leaves up, as each refers to its parent.
    for project in reversed(tree.subtree(tx, row.id)):
        remove_project(tx, call, project)
    tx.execute(_DELETE_ROLES, {"id": row.id})
    tx.execute(assignment_tables.DELETE_AT, {"kind": assignment_tables.DOMAIN, "id": row.id})
    remove_project(tx, call, row)
