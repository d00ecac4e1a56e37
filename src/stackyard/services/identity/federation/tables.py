"""Identity providers with their protocols and mappings, service providers, and who has signed in by them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Moment, metadata

providers = sa.Table(
    "identity_providers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("authorization_ttl", sa.Integer, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
)

remote_ids = sa.Table(
    "identity_provider_remote_ids",
    metadata,
    sa.Column("remote_id", sa.String(255), primary_key=True),
    sa.Column("idp_id", sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False, index=True),
)

mappings = sa.Table(
    "identity_mappings",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("rules", sa.JSON, nullable=False),
    sa.Column("schema_version", sa.String(5), nullable=False),
)

# A mapping may be deleted while protocols name it, as in Keystone: signing in by them is refused until it is back.
protocols = sa.Table(
    "identity_protocols",
    metadata,
    sa.Column("idp_id", sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("mapping_id", sa.String(64), nullable=False),
    sa.Column("remote_id_attribute", sa.String(64), nullable=True),
)

service_providers = sa.Table(
    "identity_service_providers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("auth_url", sa.String(256), nullable=False),
    sa.Column("sp_url", sa.String(256), nullable=False),
    sa.Column("relay_state_prefix", sa.String(256), nullable=False),
)

federated_users = sa.Table(
    "identity_federated_users",
    metadata,
    sa.Column("idp_id", sa.String(64), primary_key=True),
    sa.Column("protocol_id", sa.String(64), primary_key=True),
    sa.Column("unique_id", sa.String(255), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.ForeignKeyConstraint(
        ["idp_id", "protocol_id"], ["identity_protocols.idp_id", "identity_protocols.id"], ondelete="CASCADE"
    ),
)

# What the user's last sign-in by a provider said of groups. It counts beside a token that names the group itself, and
# until it expires also where there is no such token (application credentials, trusts).
memberships = sa.Table(
    "identity_federated_members",
    metadata,
    sa.Column("user_id", sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("group_id", sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("idp_id", sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("verified_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

PROVIDER_BY_ID = sa.select(providers).where(providers.c.id == bindparam("id"))
PROVIDERS_OF_DOMAIN = sa.select(providers.c.id).where(providers.c.domain_id == bindparam("id"))
REMOTE_IDS = (
    sa.select(remote_ids)
    .where(remote_ids.c.idp_id.in_(bindparam("ids", expanding=True)))
    .order_by(remote_ids.c.remote_id)
)
BY_REMOTE_ID = sa.select(remote_ids).where(remote_ids.c.remote_id == bindparam("remote_id"))
PROTOCOL = sa.select(protocols).where(protocols.c.idp_id == bindparam("idp"), protocols.c.id == bindparam("id"))
PROTOCOLS_NAMED = sa.select(protocols).where(protocols.c.id == bindparam("id")).order_by(protocols.c.idp_id)
MAPPING_BY_ID = sa.select(mappings).where(mappings.c.id == bindparam("id"))
SERVICE_PROVIDER_BY_ID = sa.select(service_providers).where(service_providers.c.id == bindparam("id"))
ENABLED_SERVICE_PROVIDERS = (
    sa.select(service_providers.c.id, service_providers.c.auth_url, service_providers.c.sp_url)
    .where(service_providers.c.enabled.is_(True))
    .order_by(service_providers.c.id)
)
FEDERATED_USER = sa.select(federated_users).where(
    federated_users.c.idp_id == bindparam("idp"),
    federated_users.c.protocol_id == bindparam("protocol"),
    federated_users.c.unique_id == bindparam("unique"),
)
OF_USER = (
    sa.select(federated_users)
    .where(federated_users.c.user_id == bindparam("user_id"))
    .order_by(federated_users.c.idp_id, federated_users.c.protocol_id, federated_users.c.unique_id)
)
LINK = sa.insert(federated_users)
UNLINK = sa.delete(federated_users).where(federated_users.c.user_id == bindparam("user_id"))
MEMBERSHIPS = sa.select(memberships).where(
    memberships.c.user_id == bindparam("user_id"), memberships.c.idp_id == bindparam("idp")
)
