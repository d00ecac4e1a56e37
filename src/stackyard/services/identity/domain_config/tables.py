"""Options of domains: in clear as JSON, or sealed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import metadata
from stackyard.services.identity.credentials import keys

options = sa.Table(
    "identity_domain_options",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("group_name", sa.String(64), nullable=False),
    sa.Column("option_name", sa.String(64), nullable=False),
    sa.Column("value", sa.JSON, nullable=True),
    sa.Column("sealed", sa.Text, nullable=True),
    sa.UniqueConstraint("domain_id", "group_name", "option_name"),
)
keys.SEALED.append(options.c.sealed)

_OF_DOMAIN = options.c.domain_id == bindparam("domain_id")
_OF_GROUP = sa.and_(_OF_DOMAIN, options.c.group_name == bindparam("group"))
_ONE = sa.and_(_OF_GROUP, options.c.option_name == bindparam("option"))

ALL = sa.select(options).where(_OF_DOMAIN).order_by(options.c.group_name, options.c.option_name)
DOMAINS = sa.select(options.c.domain_id).distinct().order_by(options.c.domain_id)
INSERT = sa.insert(options)
DELETE_ALL = sa.delete(options).where(_OF_DOMAIN)
DELETE_GROUP = sa.delete(options).where(_OF_GROUP)
DELETE_ONE = sa.delete(options).where(_ONE)
