"""What this image service is and can: versions, import methods, stores, usage."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.services.image.images import IMPORT_METHODS, QUOTA
from stackyard.services.image.views import STORE

CURRENT = 12
"""The minor of version 2 that is served in full: 2.12 shows an image's tasks; later ones are caches and locations."""


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
    del tx, call
    methods = {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}
    return {"import-methods": methods}


def stores(tx: Transaction, call: Call) -> dict[str, Any]:
    """The one store."""
    del tx, call
    return {"stores": [{"id": STORE, "description": "Files in the cloud's state directory", "default": "true"}]}


def stores_detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """The one store with what an operator may know of it."""
    detail = {"type": "file", "weight": 0, "properties": {}}
    return {"stores": [store | detail for store in stores(tx, call)["stores"]]}


def usage(tx: Transaction, call: Call) -> dict[str, Any]:
    """How many images the caller's project has, and may have."""
    project_id = call.caller.project_id or ""
    quotas = call.runtime.quotas
    counted = {"usage": quotas.in_use(tx, project_id, QUOTA), "limit": quotas.limit(tx, project_id, QUOTA)}
    return {"usage": {"image_count_total": counted}}
