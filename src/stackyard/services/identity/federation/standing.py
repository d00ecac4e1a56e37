"""Whether a token of a federated sign-in still stands, and the groups it still has: both are looked up anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import Unauthorized
from stackyard.services.identity.federation import present, tables
from stackyard.services.identity.federation.tables import protocols, providers
from stackyard.services.identity.tokens.payload import Federation

_WAY_IN = (
    sa.select(providers.c.enabled)
    .join(protocols, protocols.c.idp_id == providers.c.id)
    .where(providers.c.id == bindparam("idp"), protocols.c.id == bindparam("protocol"))
)


def groups_of(tx: Transaction, user_id: str, federation: Federation | None) -> tuple[str, ...]:
    """The groups that a token still puts its user into.

    Those that a later sign-in by the same provider did not name, or that are deleted, are left out. Raises Unauthorized
    when the provider or protocol is gone, or the provider disabled.
    """
    if federation is None:
        return ()
    way_in = tx.first(_WAY_IN, {"idp": federation.identity_provider_id, "protocol": federation.protocol_id})
    if way_in is None or not way_in.enabled:
        raise Unauthorized("The request you have made requires authentication.", kind="FederationGone")
    rows = tx.all(tables.MEMBERSHIPS, {"user_id": user_id, "idp": federation.identity_provider_id})
    present = {row.group_id for row in rows}
    return tuple(group_id for group_id in federation.group_ids if group_id in present)


def next_change(tx: Transaction, user_id: str) -> datetime | None:
    """When the next of a user's memberships by an identity provider ends, None when none does."""
    return min((row.expires_at for row in present.memberships_of(tx, user_id)), default=None)


def body(federation: Federation, group_ids: tuple[str, ...]) -> Mapping[str, Any]:
    """What a token shows of it, below its user."""
    return {
        "groups": [{"id": group_id} for group_id in group_ids],
        "identity_provider": {"id": federation.identity_provider_id},
        "protocol": {"id": federation.protocol_id},
    }
