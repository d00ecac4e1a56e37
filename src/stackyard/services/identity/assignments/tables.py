"""Role assignments: a role, a user or group that has it, and a project, domain or the system where it holds."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import metadata

USER, GROUP = "user", "group"
PROJECT, DOMAIN, SYSTEM = "project", "domain", "system"
ALL = "all"
"""The id of the one system."""

assignments = sa.Table(
    "identity_assignments",
    metadata,
    sa.Column("actor_kind", sa.String(8), primary_key=True),
    sa.Column("actor_id", sa.String(64), primary_key=True),
    sa.Column("target_kind", sa.String(8), primary_key=True),
    sa.Column("target_id", sa.String(64), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("inherited", sa.Boolean, primary_key=True),
    sa.Index("ix_identity_assignments_target", "target_kind", "target_id"),
)

ONE = sa.and_(
    assignments.c.actor_kind == bindparam("actor_kind"),
    assignments.c.actor_id == bindparam("actor_id"),
    assignments.c.target_kind == bindparam("target_kind"),
    assignments.c.target_id == bindparam("target_id"),
    assignments.c.role_id == bindparam("role_id"),
    assignments.c.inherited == bindparam("inherited", type_=sa.Boolean),
)
FIND = sa.select(assignments).where(ONE)
INSERT = sa.insert(assignments)
DELETE = sa.delete(assignments).where(ONE)
OF_ACTORS = sa.select(assignments).where(
    sa.or_(
        sa.and_(assignments.c.actor_kind == USER, assignments.c.actor_id == bindparam("user_id")),
        sa.and_(assignments.c.actor_kind == GROUP, assignments.c.actor_id.in_(bindparam("groups", expanding=True))),
    )
)
OF_ACTORS_AT = OF_ACTORS.where(
    sa.or_(
        sa.and_(
            assignments.c.target_kind == bindparam("kind"),
            assignments.c.target_id == bindparam("id"),
            assignments.c.inherited.is_(False),
        ),
        sa.and_(assignments.c.target_id.in_(bindparam("above", expanding=True)), assignments.c.inherited.is_(True)),
    )
)
DELETE_OF_ACTOR = sa.delete(assignments).where(
    assignments.c.actor_kind == bindparam("kind"), assignments.c.actor_id == bindparam("id")
)
DELETE_AT = sa.delete(assignments).where(
    assignments.c.target_kind == bindparam("kind"), assignments.c.target_id == bindparam("id")
)
OF_ONE = sa.select(assignments).where(
    assignments.c.actor_kind == bindparam("actor_kind"),
    assignments.c.actor_id == bindparam("actor_id"),
    assignments.c.target_kind == bindparam("target_kind"),
    assignments.c.target_id == bindparam("target_id"),
    assignments.c.inherited == bindparam("inherited", type_=sa.Boolean),
)
