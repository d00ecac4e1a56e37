"""Kinds of volumes, and of groups of them: what each promises, and who may use it."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

volume_types = sa.Table(
    "volume_types",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("extra_specs", sa.JSON, nullable=False),
    sa.Column("qos_specs_id", sa.String(36), nullable=True, index=True),
    # {"encryption_id", "provider", "cipher", "key_size", "control_location", "created_at", "updated_at"}; None: none
    sa.Column("encryption", sa.JSON, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
)

volume_type_projects = sa.Table(
    "volume_type_projects",
    metadata,
    sa.Column("volume_type_id", sa.ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", sa.String(64), primary_key=True, index=True),
)

default_volume_types = sa.Table(
    "default_volume_types",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("volume_type_id", sa.ForeignKey("volume_types.id", ondelete="CASCADE"), nullable=False),
)

qos_specs = sa.Table(
    "volume_qos_specs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("consumer", sa.String(16), nullable=False),  # front-end, back-end, both
    sa.Column("specs", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

group_types = sa.Table(
    "volume_group_types",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("group_specs", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
)

group_type_projects = sa.Table(
    "volume_group_type_projects",
    metadata,
    sa.Column("group_type_id", sa.ForeignKey("volume_group_types.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", sa.String(64), primary_key=True),
)
