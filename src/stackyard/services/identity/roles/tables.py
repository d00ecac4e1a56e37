"""Roles and inference rules. A role of a domain serves to build others and never stands in a token itself."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

GLOBAL = ""
"""What a global role has in place of a domain id: not NULL, so that global names are unique too."""

roles = sa.Table(
    "identity_roles",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("domain_id", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
)

implied = sa.Table(
    "identity_implied_roles",
    metadata,
    sa.Column("prior_id", sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("implied_id", sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
)

BY_ID = sa.select(roles).where(roles.c.id == bindparam("id"))
BY_NAME = sa.select(roles).where(roles.c.domain_id == bindparam("domain_id"), roles.c.name == bindparam("name"))
BY_IDS = sa.select(roles).where(roles.c.id.in_(bindparam("ids", expanding=True))).order_by(roles.c.name, roles.c.id)
INSERT = sa.insert(roles)
DELETE = sa.delete(roles).where(roles.c.id == bindparam("id"))
IMPLICATIONS = sa.select(implied.c.prior_id, implied.c.implied_id)
IMPLY = sa.insert(implied)
ONE_IMPLICATION = sa.and_(implied.c.prior_id == bindparam("prior"), implied.c.implied_id == bindparam("other"))
