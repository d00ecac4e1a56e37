"""What an unauthenticated client asks first: which versions there are, and what the API offers; and what is no more."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Gone
from stackyard.core.routes import PUBLIC, Route
from stackyard.services.identity import home

_MEDIA_TYPES = [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]


def index(tx: Transaction, call: Call) -> Reply:
    """The versions there are: one; or the home document, whose addresses then begin with its."""
    del tx
    if home.prefers_home(call.request.headers.get("accept")):
        return _home(call, "/v3")
    versions = {"versions": {"values": [_version(call)]}}
    return Reply(versions, status=300, headers={"Location": call.url("/v3/"), "Vary": "Accept"})


def show(tx: Transaction, call: Call) -> Reply:
    """Version 3, or its home document."""
    del tx
    if home.prefers_home(call.request.headers.get("accept")):
        return _home(call, "")
    return Reply({"version": _version(call)}, headers={"Vary": "Accept"})


def _home(call: Call, prefix: str) -> Reply:
    document = home.document(call.service.routes, prefix)
    return Reply(document, status=200, headers={"Vary": "Accept"}, media_type=home.JSON_HOME)


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.url("/v3/")}],
        "media-types": _MEDIA_TYPES,
    }


def gone(tx: Transaction, call: Call) -> None:
    """The certificates of PKI tokens, which there are no more."""
    del tx, call
    raise Gone("This API is no longer available due to the removal of support for PKI tokens.")


ROUTES = (
    Route("GET", "/", index, PUBLIC),
    Route("GET", "/v3", show, PUBLIC),
    Route("GET", "/v3/OS-SIMPLE-CERT/ca", gone, PUBLIC),
    Route("GET", "/v3/OS-SIMPLE-CERT/certificates", gone, PUBLIC),
)
