"""Users and groups."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata
from stackyard.services.identity.federation.tables import memberships

LOCAL = ""
"""The namespace of users whose name is theirs alone in the domain. A user whom an identity provider brought has a
namespace of its own, his id: what he is called there is not ours to make unique, and nobody is found by such a name.
"""

users = sa.Table(
    "identity_users",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("namespace", sa.String(64), nullable=False, default=LOCAL, server_default=LOCAL),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id"), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("default_project_id", sa.String(64), nullable=True),
    sa.Column("password_hash", sa.String(255), nullable=True),
    sa.Column("password_created_at", Moment, nullable=True),
    sa.Column("password_expires_at", Moment, nullable=True),
    sa.Column("password_self_service", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("domain_id", "name", "namespace"),
)

groups = sa.Table(
    "identity_groups",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id"), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
)

members = sa.Table(
    "identity_group_members",
    metadata,
    sa.Column("group_id", sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True, index=True),
)

present_members = sa.union(
    sa.select(members.c.group_id, members.c.user_id),
    sa.select(memberships.c.group_id, memberships.c.user_id).where(
        memberships.c.expires_at > bindparam("now", type_=Moment)
    ),
).subquery("present_members")
"""Members by their own right, and those who are for now because an identity provider said so."""

BY_ID = sa.select(users).where(users.c.id == bindparam("id"))
BY_NAME = sa.select(users).where(
    users.c.domain_id == bindparam("domain_id"), users.c.name == bindparam("name"), users.c.namespace == LOCAL
)
INSERT = sa.insert(users)
DELETE = sa.delete(users).where(users.c.id == bindparam("id"))
GROUP_BY_ID = sa.select(groups).where(groups.c.id == bindparam("id"))
GROUP_BY_NAME = sa.select(groups).where(
    groups.c.domain_id == bindparam("domain_id"), groups.c.name == bindparam("name")
)
GROUP_IDS = sa.select(members.c.group_id).where(members.c.user_id == bindparam("user_id"))
MEMBERSHIP = sa.and_(members.c.group_id == bindparam("group_id"), members.c.user_id == bindparam("user_id"))
