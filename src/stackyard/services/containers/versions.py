"""The documents at the root: which versions there are, and what version 1 holds."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction

_COLLECTIONS = (
    "services",
    "containers",
    "images",
    "networks",
    "hosts",
    "capsules",
    "availability_zones",
    "quotas",
    "quota_classes",
    "registries",
)


def root(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /: the versions."""
    del tx
    version = {
        "id": "v1",
        "links": [{"href": call.url("/v1/"), "rel": "self"}],
        "status": "CURRENT",
        "max_version": "1.40",
        "min_version": "1.1",
    }
    return {
        "name": "OpenStack Zun API",
        "description": "Zun is an OpenStack project which aims to provide containers service.",
        "versions": [version],
        "default_version": version,
    }


def v1(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1: links to every collection."""
    del tx
    links = {
        name: [
            {"href": call.url(f"/v1/{name}/"), "rel": "self"},
            {"href": call.url(f"/{name}/"), "rel": "bookmark"},
        ]
        for name in _COLLECTIONS
    }
    return {
        "id": "v1",
        "media_types": [{"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}],
        "links": [{"href": call.url("/v1/"), "rel": "self"}],
        **links,
    }
