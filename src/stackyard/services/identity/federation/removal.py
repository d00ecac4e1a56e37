"""Taking identity providers and protocols away with the users that only they brought in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.identity.federation import tables
from stackyard.services.identity.federation.tables import federated_users, protocols, providers
from stackyard.services.identity.users import tables as user_tables
from stackyard.services.identity.users.removal import remove_user

_PROVIDER = sa.delete(providers).where(providers.c.id == bindparam("id"))
_PROTOCOL = sa.delete(protocols).where(protocols.c.idp_id == bindparam("idp"), protocols.c.id == bindparam("id"))
_BROUGHT = (
    sa.select(federated_users.c.user_id)
    .join(user_tables.users, user_tables.users.c.id == federated_users.c.user_id)
    .where(federated_users.c.idp_id == bindparam("idp"), user_tables.users.c.namespace != user_tables.LOCAL)
)
_BROUGHT_BY_PROTOCOL = _BROUGHT.where(federated_users.c.protocol_id == bindparam("id"))


def remove_provider(tx: Transaction, idp_id: str) -> None:
    """An identity provider with its protocols; its domain stays."""
    brought = {row.user_id for row in tx.all(_BROUGHT, {"idp": idp_id})}
    tx.execute(_PROVIDER, {"id": idp_id})
    _remove_stranded(tx, brought)


def remove_protocol(tx: Transaction, idp_id: str, protocol_id: str) -> None:
    """A protocol of an identity provider."""
    brought = {row.user_id for row in tx.all(_BROUGHT_BY_PROTOCOL, {"idp": idp_id, "id": protocol_id})}
    tx.execute(_PROTOCOL, {"idp": idp_id, "id": protocol_id})
    _remove_stranded(tx, brought)


def remove_providers_of_domain(tx: Transaction, domain_id: str) -> None:
    """The identity providers of a domain that is going."""
    for row in tx.all(tables.PROVIDERS_OF_DOMAIN, {"id": domain_id}):
        remove_provider(tx, row.id)


def _remove_stranded(tx: Transaction, user_ids: set[str]) -> None:
    for user_id in sorted(user_ids):
        if tx.first(tables.OF_USER, {"user_id": user_id}) is None:
            remove_user(tx, user_id)
