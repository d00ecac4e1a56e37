"""The documents at the root: which versions there are."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion

MINIMUM = Microversion(2, 1)
MAXIMUM = Microversion(2, 104)


def _v21(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(MAXIMUM),
        "min_version": str(MINIMUM),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": call.url("/v2.1/")}],
    }


def root(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /: the versions."""
    del tx
    return {"versions": [_v21(call)]}


def v21(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2.1: the version alone."""
    del tx
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    return {"version": _v21(call) | {"media-types": [media]}}
