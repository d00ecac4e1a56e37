"""Back ends as the scheduler sees them (scheduler-stats/get_pools), and what they can do (capabilities)."""

from __future__ import annotations

from typing import Any

from stackyard import __version__
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.matching import matches
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import hosts, scheduler
from stackyard.services.volume.fields import flag
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.types import finding

_PROPERTIES = {
    "thin_provisioning": (
        "Thin Provisioning",
        "Volumes take room as they are written to.",
        "thin_provisioning_support",
    ),
    "compression": ("Compression", "What is written is compressed.", None),
    "qos": ("QoS", "What a volume may do a second is limited by the back end.", "QoS_support"),
    "replication_enabled": ("Replication", "There is a replica to fail over to.", "replication_enabled"),
}
_FIRST, _LAST = (3, 28), (3, 31)


def get_pools(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /scheduler-stats/get_pools: with their capabilities for `detail=true`."""
    detailed = flag("detail", call.query.get("detail") or "false")
    wanted = _filters(call)
    of_type = finding.find(tx, call.caller, wanted.pop("volume_type")) if "volume_type" in wanted else None
    services = {row.id: row for row in hosts.rows(tx)}
    found = []
    for backend in scheduler.backends(tx, call.runtime):
        row = services[backend.service_id]
        if not backend.up or backend.disabled:
            continue
        name = str(hosts.address(backend.host, backend.name))
        has = _capabilities(row, backend, call)
        if _kept(wanted, name, has) and (of_type is None or scheduler.capable(backend, of_type.extra_specs)):
            found.append({"name": name, "capabilities": has} if detailed else {"name": name})
    return {"pools": found}


def _filters(call: Call) -> dict[str, str]:
    found = {name: value for name, value in call.query.pairs() if name != "detail"}
    if not call.since(*_FIRST):
        return {}
    known = {"name", "volume_type"} if call.since(3, 35) else {"name"}
    unknown = sorted(set(found) - known)
    if unknown and call.since(*_LAST):
        raise BadRequest(f"Invalid filters {','.join(unknown)[:255]} are found in query options.")
    return {name: value for name, value in found.items() if name != "volume_type" or call.since(3, 35)}


def _kept(wanted: dict[str, str], name: str, has: dict[str, Any]) -> bool:
    return all(
        value == name if key == "name" else key in has and matches(str(has[key]), value)
        for key, value in wanted.items()
    )


def _capabilities(row: Any, backend: scheduler.Backend, call: Call) -> dict[str, Any]:
    return scheduler.capabilities(row, call.runtime) | {
        "pool_name": backend.name,
        "driver_version": __version__,
        "total_capacity_gb": round(backend.total, 2),
        "free_capacity_gb": round(backend.free, 2),
        "provisioned_capacity_gb": backend.provisioned,
        "allocated_capacity_gb": backend.provisioned,
        "filter_function": None,
        "goodness_function": None,
        "backend_state": "up",
        "timestamp": iso_naive(row.updated_at),
    }


def capabilities(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /capabilities/{host}: `host@backend`; a host alone means its first back end."""
    host, backend = hosts.split(call.path["host"])
    found = [
        row
        for row in hosts.rows(tx)
        if row.binary == hosts.VOLUME and row.host == host and (not backend or row.backend == backend)
    ]
    if not found:
        raise NotFound(f"Can't find service: {call.path['host'][:255]}")
    has = scheduler.capabilities(found[0], call.runtime)
    properties = {
        name: {"title": title, "description": text, "type": "boolean"}
        for name, (title, text, key) in _PROPERTIES.items()
        if key is None or key in has
    }
    return {
        "namespace": f"OS::Storage::Capabilities::{hosts.shown(found[0])}",
        "vendor_name": scheduler.VENDOR,
        "volume_backend_name": found[0].backend,
        "pool_name": found[0].backend,
        "driver_version": __version__,
        "storage_protocol": has["storage_protocol"],
        "display_name": None,
        "description": None,
        "visibility": "public",
        "replication_targets": [],
        "properties": properties,
    }


_POOLS = "scheduler_extension:scheduler_stats:get_pools"
_CAPABILITIES = "volume_extension:capabilities"

ROUTES = (
    Route("GET", "/v3/scheduler-stats/get_pools", get_pools, _POOLS, query=("detail", "name", "volume_type")),
    Route("GET", "/v3/capabilities/{host}", capabilities, _CAPABILITIES),
)

POLICIES = (
    Rule(_POOLS, ADMIN, "List back ends of volumes with what they have."),
    Rule(_CAPABILITIES, ADMIN, "See what a back end of volumes can do."),
)
