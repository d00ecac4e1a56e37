"""Resource filters (3.33): what lists may be narrowed by."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route

FILTERS = {
    "volume": (
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size",
        "created_at", "updated_at", "consumes_quota",
    ),
    "backup": ("name", "status", "volume_id"),
    "snapshot": ("name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"),
    "group": ("name",),
    "group_snapshot": ("name", "status", "group_id"),
    "attachment": ("volume_id", "status", "instance_id", "attach_status"),
    "message": ("resource_uuid", "resource_type", "event_id", "request_id", "message_level"),
    "pool": ("name", "volume_type"),
    "volume_type": ("is_public", "extra_specs"),
}  # fmt: skip
"""What users may ask for; administrators may ask for more."""


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /resource_filters, of one resource if asked for."""
    del tx
    wanted = call.query.get("resource")
    found = [
        {"resource": resource, "filters": list(filters)}
        for resource, filters in FILTERS.items()
        if wanted in (None, resource)
    ]
    return {"resource_filters": found}


ROUTES = (Route("GET", "/v3/resource_filters", list_, "volume:any", since=Microversion(3, 33), query=("resource",)),)
