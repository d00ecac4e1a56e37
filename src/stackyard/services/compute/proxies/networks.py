"""Networks as Nova's API has them until 2.35: little more than what they are called."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import READER
from stackyard.services.network import api as network

_NETWORKS = "os_compute_api:os-networks"
_TENANT = "os_compute_api:os-tenant-networks"
_LAST = Microversion(2, 35)

# What networks had when Nova made them itself: null ever since.
_FIELDS = (
    "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6",
)  # fmt: skip
_FOR_ADMINISTRATORS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip


def _all(tx: Transaction, call: Call) -> list[dict[str, Any]]:
    return network.Inward(tx, call.runtime, call.caller).list("networks")


def _one(tx: Transaction, call: Call) -> dict[str, Any]:
    try:
        return network.Inward(tx, call.runtime, call.caller).show("network", call.path["network_id"])
    except NotFound:
        raise NotFound("Network not found", kind="NetworkNotFound") from None


def _view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    fields = (*_FIELDS, *_FOR_ADMINISTRATORS) if call.caller.is_admin else _FIELDS
    return dict.fromkeys(fields) | {"id": row["id"], "label": row["name"]}


def _tenant_view(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "cidr": "None", "label": row["name"]}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-networks."""
    return {"networks": [_view(call, row) for row in _all(tx, call)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-networks/{id}."""
    return {"network": _view(call, _one(tx, call))}


def list_tenant(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-tenant-networks."""
    return {"networks": [_tenant_view(row) for row in _all(tx, call)]}


def show_tenant(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-tenant-networks/{id}."""
    return {"network": _tenant_view(_one(tx, call))}


ROUTES = (
    Route("GET", "/v2.1/os-networks", list_, f"{_NETWORKS}:list", until=_LAST),
    Route("GET", "/v2.1/os-networks/{network_id}", show, f"{_NETWORKS}:show", until=_LAST),
    Route("GET", "/v2.1/os-tenant-networks", list_tenant, f"{_TENANT}:list", until=_LAST),
    Route("GET", "/v2.1/os-tenant-networks/{network_id}", show_tenant, f"{_TENANT}:show", until=_LAST),
)

POLICIES = (
    Rule(f"{_NETWORKS}:list", READER, "List networks."),
    Rule(f"{_NETWORKS}:show", READER, "See a network."),
    Rule(f"{_TENANT}:list", READER, "List a project's networks."),
    Rule(f"{_TENANT}:show", READER, "See a project's network."),
)
