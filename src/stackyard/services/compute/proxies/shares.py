"""Shares of a shared file system service, which this cloud has none of: no server has one, and none can be attached."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from stackyard.core import ids
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.faults import not_found
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.compute.servers import finding

_BASE = "os_compute_api:os-server-shares"
_FIRST = Microversion(2, 97)


class NewShare(Body, kw_only=True):
    """The share that a server is to have, and what the guest knows it by."""

    share_id: str
    tag: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-]*\Z")] | None = None


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /servers/{server_id}/shares."""
    del tx
    lists.query_of(call, (), strict=True)
    return {"shares": []}


def create(tx: Transaction, call: Call) -> Any:
    """POST /servers/{server_id}/shares: there is no such share."""
    del tx
    if not ids.is_uuid(call.body.share_id):
        raise InvalidField("share_id", f"{call.body.share_id[:80]} is not a 'uuid'")
    raise not_found("Share", call.body.share_id)


def missing(tx: Transaction, call: Call) -> Any:
    """GET and DELETE of one: there is no such share."""
    del tx
    raise not_found("Share", call.path["share_id"])


_ALL = "/v2.1/servers/{server_id}/shares"
_ONE = "/v2.1/servers/{server_id}/shares/{share_id}"

ROUTES = (
    Route("GET", _ALL, list_, f"{_BASE}:index", target=finding.load, since=_FIRST),
    Route("POST", _ALL, create, f"{_BASE}:create", target=finding.load, body=NewShare, envelope="share", since=_FIRST),
    Route("GET", _ONE, missing, f"{_BASE}:show", target=finding.load, since=_FIRST),
    Route("DELETE", _ONE, missing, f"{_BASE}:delete", target=finding.load, since=_FIRST),
)

POLICIES = (
    Rule(f"{_BASE}:index", READER, "List a server's shares."),
    Rule(f"{_BASE}:show", READER, "See a server's share."),
    Rule(f"{_BASE}:create", MEMBER, "Give a server a share."),
    Rule(f"{_BASE}:delete", MEMBER, "Take a share from a server."),
)
