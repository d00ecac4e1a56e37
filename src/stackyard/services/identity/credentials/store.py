"""Credentials as the rest of the identity service keeps and finds them; their blobs are sealed in the database."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, Forbidden
from stackyard.services.identity.credentials import keys, tables


class Credential(NamedTuple):
    """A credential with its blob in clear: never to be logged."""

    id: str
    blob: str


def of_user(tx: Transaction, user_id: str, kind: str) -> list[Credential]:
    """The credentials of one type (`totp`, `ec2`, ...) that a user has, oldest first."""
    rows = tx.all(tables.OF_USER, {"user_id": user_id, "type": kind})
    return [Credential(row.id, keys.unseal(tx, row.blob)) for row in rows]


def id_of_access_key(access: str) -> str:
    """The id of the credential of an EC2 access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def add(tx: Transaction, call: Call, values: dict[str, Any], blob: str) -> Row[Any]:
    """Store a credential: id, user_id, project_id, type and, if any, extra.

    Raises Conflict for an id that there is already, Forbidden when the user has as many as one may have.
    """
    if tx.first(tables.BY_ID, {"id": values["id"]}) is not None:
        raise Conflict(
            f"Conflict occurred attempting to store credential - Duplicate entry found with ID {values['id']}."
        )
    limit = call.runtime.settings.credential.user_limit
    if limit >= 0 and tx.scalar(tables.COUNT_OF_USER, {"user_id": values["user_id"]}) >= limit:
        raise Forbidden(f"Unable to create additional credentials, maximum of {limit} already exceeded for user.")
    row = {"extra": {}, **values, "blob": keys.seal(tx, blob), "created_at": tx.now}
    tx.execute(tables.INSERT, row)
    made = tx.first(tables.BY_ID, {"id": values["id"]})
    assert made is not None  # noqa: S101 (inserted above)
    return made


def remove_of_user(tx: Transaction, user_id: str) -> None:
    """A user is deleted."""
    tx.execute(tables.DELETE_OF_USER, {"user_id": user_id})


def remove_at_project(tx: Transaction, project_id: str) -> None:
    """A project is deleted."""
    tx.execute(tables.DELETE_AT_PROJECT, {"project_id": project_id})
