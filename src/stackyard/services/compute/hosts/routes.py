"""os-hosts, until 2.42: hosts as clients saw them before there were services and hypervisors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound, NotImplementedHere
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Operation, Route
from stackyard.services.compute import hosts, services, zones
from stackyard.services.compute.hosts import use
from stackyard.services.compute.rules import ADMIN

Switch = Literal["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"]


class ChangedHost(Body, kw_only=True):
    """PUT /os-hosts/{host}: one of the two, or both."""

    status: Switch | UnsetType = UNSET
    maintenance_mode: Switch | UnsetType = UNSET


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hosts: the services that are enabled, of one zone if asked for."""
    wanted, of_hosts, default = call.query.get("zone"), zones.of_hosts(tx), zones.default(call.runtime)
    found = []
    for row in services.rows(tx):
        zone = of_hosts.get(row.host, default) if row.binary == hosts.COMPUTE else zones.INTERNAL
        if not row.disabled and (not wanted or zone == wanted):
            found.append({"host_name": row.host, "service": row.binary.removeprefix("nova-"), "zone": zone})
    return {"hosts": found}


def _find(tx: Transaction, call: Call) -> Any:
    row = hosts.find(tx, call.path["host"])
    if row is None:
        raise NotFound(f"Compute host {call.path['host'][:255]} could not be found.", kind="ComputeHostNotFound")
    return row


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hosts/{host}: what it has, what is used, and by which projects."""
    row = _find(tx, call)
    has, name = hosts.capacity(row), row.host
    by_project = use.by_project(tx, name)
    total = use.Used().plus(*by_project.values())
    reserved = call.runtime.settings.compute.reserved_host_memory
    lines: Iterable[tuple[str, int, int, int]] = (
        ("(total)", has.vcpus, has.memory, has.disk),
        ("(used_now)", total.vcpus, total.memory + reserved, total.disk),
        ("(used_max)", total.vcpus, total.memory, total.disk),
        *((project, used.vcpus, used.memory, used.disk) for project, used in by_project.items()),
    )
    resources = [
        {"resource": {"host": name, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}}
        for project, cpu, memory, disk in lines
    ]
    return {"host": resources}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-hosts/{host}: enable or disable its compute service."""
    body = call.body
    if body.status is UNSET and body.maintenance_mode is UNSET:
        raise BadRequest("Invalid input: the body holds neither 'status' nor 'maintenance_mode'.")
    row = _find(tx, call)
    if body.maintenance_mode is not UNSET:
        raise _unsupported("maintenance mode of a host")
    enabled = body.status.lower() == "enable"
    services.set_enabled(tx, call, row.host, enabled=enabled)
    return {"host": row.host, "status": "enabled" if enabled else "disabled"}


def _power(action: str) -> Operation:
    def act(tx: Transaction, call: Call) -> None:
        _find(tx, call)
        raise _unsupported(f"{action} of a host")

    act.__doc__ = f"GET /os-hosts/{{host}}/{action}."
    return act


def _unsupported(what: str) -> NotImplementedHere:
    return NotImplementedHere(
        f"The requested functionality is not supported: {what} is left to the host's own administrator.",
        kind="NotSupported",
    )


_LAST = Microversion(2, 42)
_ONE = "/v2.1/os-hosts/{host}"
_RULE = "os_compute_api:os-hosts"

ROUTES = (
    Route("GET", "/v2.1/os-hosts", list_, f"{_RULE}:list", until=_LAST, query=("zone",)),
    Route("GET", _ONE, show, f"{_RULE}:show", until=_LAST),
    Route("PUT", _ONE, update, f"{_RULE}:update", until=_LAST, body=ChangedHost),
    Route("GET", f"{_ONE}/startup", _power("startup"), f"{_RULE}:start", until=_LAST),
    Route("GET", f"{_ONE}/shutdown", _power("shutdown"), f"{_RULE}:shutdown", until=_LAST),
    Route("GET", f"{_ONE}/reboot", _power("reboot"), f"{_RULE}:reboot", until=_LAST),
)

POLICIES = (
    Rule(f"{_RULE}:list", ADMIN, "List hosts."),
    Rule(f"{_RULE}:show", ADMIN, "See what a host has and who uses it."),
    Rule(f"{_RULE}:update", ADMIN, "Enable or disable a host."),
    Rule(f"{_RULE}:reboot", ADMIN, "Restart a host."),
    Rule(f"{_RULE}:shutdown", ADMIN, "Shut a host down."),
    Rule(f"{_RULE}:start", ADMIN, "Start a host."),
)
