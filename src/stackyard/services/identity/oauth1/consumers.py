"""Consumers: list, show, create, update, delete. The secret is shown once."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Listing
from stackyard.services.identity import attributes
from stackyard.services.identity.credentials import keys
from stackyard.services.identity.listing import collection
from stackyard.services.identity.oauth1 import tables

LISTING = Listing(tables.consumers, {})


class ConsumerBody(OpenBody):
    """A consumer to make or change."""

    description: Annotated[str, msgspec.Meta(max_length=65535)] | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The consumer that the path names, if there is one."""
    return {"consumer": tx.first(tables.CONSUMER_BY_ID, {"id": call.path["consumer_id"]})}


def _the_consumer(call: Call) -> Row[Any]:
    row: Row[Any] | None = call.target["consumer"]
    if row is None:
        raise NotFound("Consumer not found")
    return row


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "description": row.description,
        "links": {"self": call.url(f"/v3/OS-OAUTH1/consumers/{row.id}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Consumers."""
    page = LISTING.page(tx, call.query)
    return collection(call, "consumers", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One consumer."""
    del tx
    return {"consumer": _view(call, _the_consumer(call))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a consumer."""
    asked, extra = attributes.read(call.body, ConsumerBody, "consumer")
    consumer_id, secret = new_hex(), new_hex()
    values = {
        "id": consumer_id,
        "description": None if asked.description is UNSET else asked.description,
        "secret": keys.seal(tx, secret),
        "extra": {name: value for name, value in extra.items() if name != "secret"},
        "created_at": tx.now,
    }
    tx.execute(tables.INSERT_CONSUMER, values)
    return {"consumer": {**_view(call, _read(tx, consumer_id)), "secret": secret}}


def _read(tx: Transaction, consumer_id: str) -> Row[Any]:
    row = tx.first(tables.CONSUMER_BY_ID, {"id": consumer_id})
    assert row is not None  # noqa: S101 (written in this transaction)
    return row


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a consumer's description; its secret stays."""
    row = _the_consumer(call)
    asked, extra = attributes.changes(call.body, ConsumerBody, "consumer", row.id)
    if "secret" in extra:
        raise BadRequest("Invalid input for consumer.secret: it cannot be changed; make another consumer.")
    description = row.description if asked.description is UNSET else asked.description
    values = {"key": row.id, "new_description": description, "new_extra": attributes.merged(row.extra, extra)}
    tx.execute(tables.UPDATE_CONSUMER, values)
    return {"consumer": _view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a consumer, with its tokens."""
    tx.execute(tables.DELETE_CONSUMER, {"id": _the_consumer(call).id})
