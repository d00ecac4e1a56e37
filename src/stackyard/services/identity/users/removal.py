"""Taking users and groups away with all that hangs on them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.identity.application_credentials import tables as credential_tables
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.credentials import store as credentials
from stackyard.services.identity.oauth1 import tables as oauth1_tables
from stackyard.services.identity.trusts import tables as trust_tables
from stackyard.services.identity.users import tables

_CREDENTIALS = sa.delete(credential_tables.credentials).where(
    credential_tables.credentials.c.user_id == bindparam("id")
)
_GROUP = sa.delete(tables.groups).where(tables.groups.c.id == bindparam("id"))


def remove_user(tx: Transaction, user_id: str) -> None:
    """A user with assignments, memberships, trusts and credentials of every kind."""
    tx.execute(assignment_tables.DELETE_OF_ACTOR, {"kind": assignment_tables.USER, "id": user_id})
    tx.execute(_CREDENTIALS, {"id": user_id})
    credentials.remove_of_user(tx, user_id)
    tx.execute(trust_tables.DELETE_OF_USER, {"user_id": user_id})
    tx.execute(oauth1_tables.DELETE_OF_USER, {"user_id": user_id})
    tx.execute(tables.DELETE, {"id": user_id})


def remove_group(tx: Transaction, group_id: str) -> None:
    """A group with assignments and memberships."""
    tx.execute(assignment_tables.DELETE_OF_ACTOR, {"kind": assignment_tables.GROUP, "id": group_id})
    tx.execute(_GROUP, {"id": group_id})
