"""The documents at the root: which versions there are; and the addresses that mean the same as /v3's."""

from __future__ import annotations

import re
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.routes import PUBLIC, Address, Route

MINIMUM = Microversion(3, 0)
MAXIMUM = Microversion(3, 71)

_PROJECT = re.compile(r"[0-9a-f-]+")


def address(path: str) -> Address:
    """The path as the routes have it: a project's id may stand after the version."""
    version, _, rest = path.lstrip("/").partition("/")
    if version != "v3":
        return Address("/" if not version else path)
    first, _, further = rest.partition("/")
    if _PROJECT.fullmatch(first):
        return Address(f"/v3/{_named(further)}", None, first)
    return Address(f"/v3/{_named(rest)}".rstrip("/"))


def _named(path: str) -> str:
    """A path that ends with a slash asks for what has no id, as Cinder sees it: not for the list."""
    return f"{path}-" if path.endswith("/") and path.strip("/") else path


def _v3(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": str(MAXIMUM),
        "min_version": str(MINIMUM),
        "updated": "2024-04-30T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": call.url("/v3/")},
        ],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }


def versions(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET / and GET /v3: the versions."""
    del tx
    return {"versions": [_v3(call)]}


ROUTES = (
    Route("GET", "/", versions, PUBLIC, status=300),
    Route("GET", "/v3", versions, PUBLIC),
)
