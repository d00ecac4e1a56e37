"""Columns that many tables have."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core.db import Moment


def id_column(name: str = "id", *, primary_key: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(36), primary_key=primary_key, nullable=False)


def standard_columns() -> list[sa.Column[Any]]:
    """The attributes that every Neutron resource has."""
    return [
        sa.Column("project_id", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False, default=""),
        sa.Column("description", sa.String(255), nullable=False, default=""),
        sa.Column("tags", sa.JSON, nullable=False, default=list),
        sa.Column("revision_number", sa.BigInteger, nullable=False, default=0),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
    ]


def belongs_to(name: str, table: str, *, nullable: bool = False, index: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(36), sa.ForeignKey(f"{table}.id"), nullable=nullable, index=index)
