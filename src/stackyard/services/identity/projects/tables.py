"""Projects and domains. A domain is the root of a tree of projects, and itself can be acted in like one."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

NO_DOMAIN = ""
"""What a domain has in place of a domain id: not NULL, so that domains' names are unique too."""

projects = sa.Table(
    "identity_projects",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("domain_id", sa.String(64), nullable=False),
    sa.Column("parent_id", sa.String(64), sa.ForeignKey("identity_projects.id"), nullable=True, index=True),
    sa.Column("is_domain", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
)

tags = sa.Table(
    "identity_project_tags",
    metadata,
    sa.Column("project_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
)

BY_ID = sa.select(projects).where(projects.c.id == bindparam("id"))
BY_NAME = sa.select(projects).where(
    projects.c.domain_id == bindparam("domain_id"), projects.c.name == bindparam("name")
)
INSERT = sa.insert(projects)
DELETE = sa.delete(projects).where(projects.c.id == bindparam("id"))
TAGS = sa.select(tags.c.name).where(tags.c.project_id == bindparam("id")).order_by(tags.c.name)
TAGS_OF = (
    sa.select(tags.c.project_id, tags.c.name)
    .where(tags.c.project_id.in_(bindparam("ids", expanding=True)))
    .order_by(tags.c.name)
)
INSERT_TAG = sa.insert(tags)
DELETE_TAG = sa.delete(tags).where(tags.c.project_id == bindparam("id"), tags.c.name == bindparam("name"))
DELETE_TAGS = sa.delete(tags).where(tags.c.project_id == bindparam("id"))
