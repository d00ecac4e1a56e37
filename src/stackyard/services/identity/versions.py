"""Version documents: what an unauthenticated client asks first."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction

_MEDIA_TYPES = [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]


def index(tx: Transaction, call: Call) -> Reply:
    """The versions there are: one."""
    del tx
    return Reply({"versions": {"values": [_version(call)]}}, status=300, headers={"Location": call.url("/v3/")})


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """Version 3."""
    del tx
    return {"version": _version(call)}


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.url("/v3/")}],
        "media-types": _MEDIA_TYPES,
    }
