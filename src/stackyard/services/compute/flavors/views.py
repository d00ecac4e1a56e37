"""Flavors as the API shows them."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.services.compute.lists import links


def brief(call: Call, row: Any) -> dict[str, Any]:
    """A flavor in a list."""
    found = {"id": row.flavorid, "name": row.name, "links": links(call, f"/flavors/{row.flavorid}")}
    if call.since(2, 55):
        found["description"] = row.description
    return found


def shows_specs(call: Call) -> bool:
    """Whether flavors are shown to the caller with their extra specs."""
    return call.since(2, 61) and call.allows("os_compute_api:os-flavor-extra-specs:index")


def full(call: Call, row: Any, *, specs: bool) -> dict[str, Any]:
    """A flavor with all that it has."""
    found = brief(call, row) | {
        "ram": row.memory_mb,
        "disk": row.root_gb,
        "vcpus": row.vcpus,
        "swap": row.swap or (0 if call.since(2, 75) else ""),
        "OS-FLV-EXT-DATA:ephemeral": row.ephemeral_gb,
        "os-flavor-access:is_public": bool(row.is_public),
    }
    if not call.since(2, 102):
        found |= {"OS-FLV-DISABLED:disabled": bool(row.disabled), "rxtx_factor": row.rxtx_factor}
    if specs:
        found["extra_specs"] = row.extra_specs
    return found
