"""The hosts that run containers, the service on each, and the availability zones: one host, in one zone."""

from __future__ import annotations

import shutil
import uuid
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.clock import iso_offset
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.errors import Conflict, NotFound
from stackyard.host.specs import EngineInfo
from stackyard.services.containers.containers.tables import containers
from stackyard.services.containers.containers.values import Flag, flag, parameters
from stackyard.services.containers.faults import as_api_errors
from stackyard.services.keys import ENGINE, HOST_NAME, STATE_DIR

ZONE = "nova"
BINARY = "zun-compute"

services = sa.Table(
    "container_services",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.String(255), nullable=True),
    sa.Column("forced_down", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=True),
)

_BY_HOST = sa.select(services).where(services.c.host == bindparam("host"))
_DROP = sa.delete(services).where(services.c.host == bindparam("host"))
_IN_USE = sa.select(
    sa.func.count().label("total"),
    sa.func.coalesce(sa.func.sum(containers.c.cpu), 0).label("cpu"),
    sa.func.coalesce(sa.func.sum(containers.c.memory), 0).label("memory"),
    sa.func.coalesce(sa.func.sum(containers.c.disk), 0).label("disk"),
).where(containers.c.host == bindparam("host"))


def require_enabled(tx: Transaction, host: str) -> None:
    """Raise Conflict when an administrator keeps new containers from the host."""
    row = tx.first(_BY_HOST, {"host": host})
    if row is not None and (row.disabled or row.forced_down):
        why = row.disabled_reason or ("it is declared down" if row.forced_down else "it is disabled")
        raise Conflict(f"There are not enough hosts available: {host} takes no new containers ({why}).")


async def list_hosts(call: Call) -> dict[str, Any]:
    """GET /v1/hosts."""
    return {"hosts": [await _host(call)], "next": None}


async def show_host(call: Call) -> dict[str, Any]:
    """GET /v1/hosts/{host}: by id or name."""
    found = await _host(call)
    if call.path["host"] not in (found["uuid"], found["hostname"]):
        raise NotFound(f"Compute node {call.path['host']} could not be found.", kind="ComputeNodeNotFound")
    return found


async def _host(call: Call) -> dict[str, Any]:
    name = call.runtime[HOST_NAME]
    with as_api_errors():
        info: EngineInfo = await call.in_thread(call.runtime[ENGINE].info)
    disk = await call.in_thread(shutil.disk_usage, call.runtime[STATE_DIR])
    used = await call.read("containers.use of host", lambda tx: tx.first(_IN_USE, {"host": name}))
    ident = host_id(name)
    return {
        "uuid": ident,
        "links": [
            {"href": call.url(f"/v1/hosts/{ident}"), "rel": "self"},
            {"href": call.url(f"/hosts/{ident}"), "rel": "bookmark"},
        ],
        "hostname": name,
        "cpus": info.cpus,
        "cpu_used": float(used.cpu) if used is not None else 0.0,
        "mem_total": info.memory,
        "mem_used": int(used.memory) if used is not None else 0,
        "disk_total": disk.total // 2**30,
        "disk_used": int(used.disk) if used is not None else 0,
        "disk_quota_supported": False,
        "total_containers": int(used.total) if used is not None else 0,
        "os": info.operating_system,
        "os_type": "linux",
        "architecture": info.architecture,
        "kernel_version": info.kernel_version,
        "labels": {},
        "runtimes": list(info.runtimes),
        **({"enable_cpu_pinning": False} if call.since(1, 29) else {}),
    }


def host_id(name: str) -> str:
    """A host's id follows from its name, so that every process says the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class ServiceParameters(Body):
    """Which service, and what to change of it."""

    host: str
    binary: str
    disabled_reason: str | None = None
    forced_down: Flag | None = None
    force_down: Flag | None = None


def list_services(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/services."""
    name = call.runtime[HOST_NAME]
    row = tx.first(_BY_HOST, {"host": name})
    created = row.created_at if row is not None else tx.now
    shown = {
        "id": 1,
        "host": name,
        "binary": BINARY,
        "state": "down" if row is not None and row.forced_down else "up",
        "availability_zone": ZONE,
        "disabled": bool(row is not None and row.disabled),
        "disabled_reason": row.disabled_reason if row is not None else None,
        "forced_down": bool(row is not None and row.forced_down),
        "report_count": 0,
        "last_seen_up": iso_offset(tx.now),
        "created_at": iso_offset(created),
        "updated_at": iso_offset(row.updated_at) if row is not None and row.updated_at else None,
    }
    return {"services": [shown]}


def enable(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /v1/services/enable."""
    asked = _asked(call)
    _change(tx, call, disabled=False, disabled_reason=None)
    return {"service": {"host": asked.host, "binary": asked.binary, "disabled": False, "disabled_reason": None}}


def disable(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /v1/services/disable: new containers are refused."""
    asked = _asked(call)
    reason = asked.disabled_reason
    _change(tx, call, disabled=True, disabled_reason=reason)
    return {"service": {"host": asked.host, "binary": asked.binary, "disabled": True, "disabled_reason": reason}}


def force_down(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /v1/services/force_down."""
    asked = _asked(call)
    down = flag("forced_down", asked.forced_down if asked.forced_down is not None else asked.force_down)
    _change(tx, call, forced_down=down)
    return {"service": {"host": asked.host, "binary": asked.binary, "forced_down": down}}


def delete_service(tx: Transaction, call: Call) -> None:
    """DELETE /v1/services: what was set for it is forgotten; while the host runs it is listed again."""
    _asked(call)
    tx.execute(_DROP, {"host": call.runtime[HOST_NAME]})


def _asked(call: Call) -> ServiceParameters:
    asked = parameters(ServiceParameters, call.query, call.body if call.body is not UNSET else None)
    if asked.host != call.runtime[HOST_NAME] or asked.binary != BINARY:
        raise NotFound(
            f"Zun service {asked.binary} on host {asked.host} could not be found.", kind="ZunServiceNotFound"
        )
    return asked


def _change(tx: Transaction, call: Call, **values: Any) -> None:
    host = call.runtime[HOST_NAME]
    row = tx.first(_BY_HOST, {"host": host})
    if row is None:
        blank = {"disabled": False, "disabled_reason": None, "forced_down": False, "updated_at": None}
        tx.insert_once(sa.insert(services), {"host": host, "created_at": tx.now, **blank, **values})
        return
    tx.execute(sa.update(services).where(services.c.host == host).values(updated_at=tx.now, **values))


def list_zones(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/availability_zones."""
    del tx, call
    return {"availability_zones": [{"availability_zone": ZONE}], "next": None}
