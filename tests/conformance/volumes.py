"""What Tempest wants of block storage beside volumes: a type whose volumes several servers may have at once."""

from __future__ import annotations

from tests.conformance.cloud import Access, endpoints_of, get, post

MULTIATTACH = "multiattach"


def register_types(access: Access) -> None:
    """Give the cloud that type, if it has block storage and no such type yet."""
    token, endpoints = endpoints_of(access)
    base = endpoints.get("block-storage")
    if base is None or any(entry["name"] == MULTIATTACH for entry in get(f"{base}/types", token)["volume_types"]):
        return
    post(f"{base}/types", token, {"volume_type": {"name": MULTIATTACH, "extra_specs": {"multiattach": "<is> True"}}})


def sections() -> dict[str, dict[str, str]]:
    """What tempest.conf says of it."""
    return {
        "volume": {
            "max_microversion": "latest",
            "build_timeout": "120",
            "volume_type_multiattach": MULTIATTACH,
            "disk_format": "raw,qcow2",
            "vendor_name": "Stackyard",
            "storage_protocol": "file",
        },
        "volume-feature-enabled": {
            "backup": "true",
            "snapshot": "true",
            "manage_volume": "true",
            "manage_snapshot": "true",  # its tests are in the third band, with servers
            "clone": "true",
            "extend_attached_volume": "true",
            "extend_volume_with_snapshot": "true",
        },
    }
