"""Endpoint groups, and what projects are associated with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata
from stackyard.services.identity.catalog.tables import endpoints
from stackyard.services.identity.projects.tables import projects

endpoint_groups = sa.Table(
    "identity_endpoint_groups",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("filters", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)


def _of_projects(name: str, column: str, referred: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("project_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(column, sa.ForeignKey(referred, ondelete="CASCADE"), primary_key=True, index=True),
    )


project_endpoints = _of_projects("identity_project_endpoints", "endpoint_id", "identity_endpoints.id")
project_groups = _of_projects("identity_project_endpoint_groups", "endpoint_group_id", "identity_endpoint_groups.id")

GROUP_BY_ID = sa.select(endpoint_groups).where(endpoint_groups.c.id == bindparam("id"))
ENDPOINTS_OF_PROJECT = (
    sa.select(endpoints)
    .join(project_endpoints)
    .where(project_endpoints.c.project_id == bindparam("project_id"))
    .order_by(endpoints.c.created_at, endpoints.c.id)
)
GROUPS_OF_PROJECT = (
    sa.select(endpoint_groups)
    .join(project_groups)
    .where(project_groups.c.project_id == bindparam("project_id"))
    .order_by(endpoint_groups.c.created_at, endpoint_groups.c.id)
)
PROJECTS_OF_ENDPOINT = (
    sa.select(projects)
    .join(project_endpoints)
    .where(project_endpoints.c.endpoint_id == bindparam("endpoint_id"))
    .order_by(projects.c.name, projects.c.id)
)
PROJECTS_OF_GROUP = (
    sa.select(projects)
    .join(project_groups)
    .where(project_groups.c.endpoint_group_id == bindparam("endpoint_group_id"))
    .order_by(projects.c.name, projects.c.id)
)
