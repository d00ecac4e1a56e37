"""What this image service is and can: versions, import methods, stores, usage."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.services.image.stores import StoreInfo
from stackyard.services.image.stores.registry import Stores, stores_of

CURRENT = 17
"""The minor of version 2 that is served: 2.17 has the calls that add and show locations."""


def versions(tx: Transaction, call: Call) -> Reply:
    """The versions, as multiple choices: what clients that start from the unversioned address expect."""
    del tx
    return Reply(_versions(call), status=300)


def explicit_versions(tx: Transaction, call: Call) -> dict[str, Any]:
    """The versions."""
    del tx
    return _versions(call)


def _versions(call: Call) -> dict[str, Any]:
    links = [{"rel": "self", "href": call.url("/v2/")}]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == CURRENT else "SUPPORTED", "links": links}
            for minor in range(CURRENT, -1, -1)
        ]
        + [
            {"id": f"v1.{minor}", "status": "DEPRECATED", "links": [{"rel": "self", "href": call.url("/v1/")}]}
            for minor in (1, 0)
        ]
    }


def import_info(tx: Transaction, call: Call) -> dict[str, Any]:
    """Which ways of importing there are."""
    del tx
    offered = stores_of(call.runtime).import_methods
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": offered}}


def stores(tx: Transaction, call: Call) -> dict[str, Any]:
    """The stores."""
    del tx
    known = stores_of(call.runtime)
    return {"stores": [_store(known, info) for info in known.infos.values()]}


def _store(known: Stores, info: StoreInfo) -> dict[str, Any]:
    found = {"id": info.id} | ({"description": info.description} if info.description else {})
    if info.id == known.default:
        found["default"] = "true"
    if info.read_only:
        found["read-only"] = "true"
    return found


def stores_detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """The stores with what an operator may know of them."""
    del tx
    known = stores_of(call.runtime)
    return {
        "stores": [
            _store(known, info)
            | {
                "type": info.type,
                "weight": info.weight,
                "properties": known.written[info.id].properties() if info.id in known.written else {},
            }
            for info in known.infos.values()
        ]
    }
