"""Volume types as the API shows them."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call

USER_VISIBLE = ("RESKEY:availability_zones", "multiattach", "replication_enabled")
"""The extra specs that every user may see: they tell what volumes can do, and nothing of the cloud."""


def visible_specs(call: Call, row: Any) -> dict[str, str]:
    """The extra specs that the caller may see."""
    if call.allows("volume_extension:types_extra_specs:read_sensitive"):
        return dict(row.extra_specs)
    return {name: row.extra_specs[name] for name in USER_VISIBLE if name in row.extra_specs}


def brief(row: Any) -> dict[str, Any]:
    """A type as who made or changed it is shown it."""
    return {
        "id": row.id,
        "name": row.name,
        "is_public": row.is_public,
        "extra_specs": row.extra_specs,
        "description": row.description,
    }


def full(call: Call, row: Any) -> dict[str, Any]:
    """A type in lists and by itself."""
    found = {"id": row.id, "name": row.name, "is_public": row.is_public, "description": row.description}
    if call.allows("volume_extension:access_types_extra_specs"):
        found["extra_specs"] = visible_specs(call, row)
    if call.allows("volume_extension:access_types_qos_specs_id"):
        found["qos_specs_id"] = row.qos_specs_id
    return found | access(call, row)


def access(call: Call, row: Any) -> dict[str, Any]:
    """Whether it is for everybody."""
    if call.allows("volume_extension:volume_type_access"):
        return {"os-volume-type-access:is_public": row.is_public}
    return {}
