"""The documents at the root: which versions there are; and the addresses that mean the same as /v2.1's."""

from __future__ import annotations

import re
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.routes import PUBLIC, Address, Route

MINIMUM = Microversion(2, 1)
MAXIMUM = Microversion(2, 104)

_PROJECT = re.compile(r"[0-9a-f-]+")
_BASE = "application/json"
_VENDOR = "application/vnd.openstack.compute+json;version="


def address(path: str) -> Address:
    """The path as the routes have it.

    What follows /v2 is the API at 2.1, whatever a header says of microversions; a project's id may stand before the
    rest of the path; and any other address leads to the choice of versions.
    """
    version, _, rest = path.lstrip("/").partition("/")
    if not version:
        return Address("/")
    if version == "console":  # the page of a console: of no version
        return Address(path)
    if version not in ("v2", "v2.1"):
        return Address("/choices")
    # A volume without an id is none, where others take such an address for the list's.
    rest = f"{rest}-" if rest.endswith("os-volumes/") else rest.strip("/")
    legacy = MINIMUM if version == "v2" else None
    if legacy and not rest:
        return Address("/v2", legacy)
    first, _, further = rest.partition("/")
    if _PROJECT.fullmatch(first):
        return Address(f"/v2.1/{further}", legacy, first)
    return Address(f"/v2.1/{rest}", legacy)


def _v20() -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2025-07-04T12:00:00Z",
    }


def _v21() -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(MAXIMUM),
        "min_version": str(MINIMUM),
        "updated": "2013-07-23T11:33:21Z",
    }


def _self(href: str) -> dict[str, str]:
    return {"rel": "self", "href": href}


def root(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /: the versions."""
    del tx
    return {
        "versions": [
            _v20() | {"links": [_self(call.url("/v2/"))]},
            _v21() | {"links": [_self(call.url("/v2.1/"))]},
        ]
    }


def _document(call: Call, entry: dict[str, Any], path: str, media: str) -> dict[str, Any]:
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    more = {"links": [_self(call.url(path)), described], "media-types": [{"base": _BASE, "type": _VENDOR + media}]}
    return {"version": entry | more}


def v20(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2: the version before microversions."""
    del tx
    return _document(call, _v20(), "/v2/", "2")


def v21(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2.1: the version alone."""
    del tx
    return _document(call, _v21(), "/v2.1/", "2.1")


def one(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /versions/{id} below a version: the document of that one."""
    name = call.path["version_id"]
    if name not in ("v2.0", "v2.1"):
        raise NotFound("The resource could not be found.")
    return v20(tx, call) if name == "v2.0" else v21(tx, call)


def choices(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET of any address that has no version: where the path is to be found in each."""
    del tx
    path = str(call.request.scope["path"]).removeprefix(call.request.scope.get("stackyard.mount", ""))
    entries = (("v2.0", "DEPRECATED", "/v2", "2"), ("v2.1", "CURRENT", "/v2.1", "2.1"))
    return {
        "choices": [
            {
                "id": name,
                "status": status,
                "links": [_self(call.url(prefix + path))],
                "media-types": [{"base": _BASE, "type": _VENDOR + media}],
            }
            for name, status, prefix, media in entries
        ]
    }


ROUTES = (
    Route("GET", "/", root, PUBLIC),
    Route("GET", "/v2", v20, PUBLIC),
    Route("GET", "/v2.1", v21, PUBLIC),
    Route("GET", "/v2.1/versions/{version_id}", one, "os_compute_api:any"),
    Route("GET", "/choices", choices, PUBLIC, status=300),
)
