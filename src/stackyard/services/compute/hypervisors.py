"""Hypervisors (os-hypervisors): the hosts' nodes, what they have and what is used; until 2.87 figures, then uptime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stackyard.core import ids
from stackyard.core.call import Call, Query
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound, NotImplementedHere
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Operation, Route
from stackyard.services.compute import hosts, lists
from stackyard.services.compute.fields import HostName, flag
from stackyard.services.compute.hosts import use
from stackyard.services.compute.rules import ADMIN

FIGURES = (
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb", "free_disk_gb",
    "current_workload", "running_vms", "disk_available_least",
)  # fmt: skip
NO_USE = use.Used()


def _brief(tx: Transaction, call: Call, row: Any) -> dict[str, Any]:
    return {
        "id": row.id if call.since(2, 53) else row.number,
        "hypervisor_hostname": row.host,
        "state": "up" if hosts.is_up(row, tx.now) else "down",
        "status": "disabled" if row.disabled else "enabled",
    }


def _full(tx: Transaction, call: Call, row: Any, used: use.Used) -> dict[str, Any]:
    has = hosts.capacity(row)
    found = _brief(tx, call, row) | {
        "hypervisor_type": has.hypervisor,
        "hypervisor_version": has.version,
        "host_ip": row.address,
        "service": {
            "id": row.service_uuid if call.since(2, 53) else row.service_id,
            "host": row.host,
            "disabled_reason": row.disabled_reason,
        },
    }
    if call.since(2, 88):
        return found | {"uptime": has.uptime or None}
    cpu = _cpu(has)
    found["cpu_info"] = cpu if call.since(2, 28) else msgspec.json.encode(cpu).decode()
    return found | _figures(call, has, used)


def _cpu(has: Any) -> dict[str, Any]:
    return {
        "arch": has.architecture,
        "model": has.cpu_model,
        "topology": {"sockets": 1, "cores": has.vcpus, "threads": 1},
        "features": list(has.cpu_features),
    }


def _figures(call: Call, has: Any, used: use.Used) -> dict[str, int]:
    memory = used.memory + call.runtime.settings.compute.reserved_host_memory
    return {
        "vcpus": has.vcpus,
        "memory_mb": has.memory,
        "local_gb": has.disk,
        "vcpus_used": used.vcpus,
        "memory_mb_used": memory,
        "local_gb_used": used.disk,
        "free_ram_mb": has.memory - memory,
        "free_disk_gb": has.disk - used.disk,
        "current_workload": used.busy,
        "running_vms": used.servers,
        "disk_available_least": has.disk_free,
    }


def _view(
    tx: Transaction, call: Call, rows: Sequence[Any], *, detail: bool, with_servers: bool = False
) -> list[dict[str, Any]]:
    used: Mapping[str, use.Used] = use.by_host(tx) if detail and not call.since(2, 88) else {}
    there = use.servers_on(tx, [row.host for row in rows]) if with_servers else {}
    found = []
    for row in rows:
        view = _full(tx, call, row, used.get(row.host, NO_USE)) if detail else _brief(tx, call, row)
        if there.get(row.host) or (with_servers and call.since(2, 75)):
            view["servers"] = [{"name": server.name, "uuid": server.id} for server in there[row.host]]
        found.append(view)
    return found


def _list(path: str, *, detail: bool) -> Operation:
    def operation(tx: Transaction, call: Call) -> dict[str, Any]:
        rows = hosts.rows(tx)
        if not call.since(2, 33):
            return {"hypervisors": _view(tx, call, rows, detail=detail)}
        query, pattern, with_servers = call.query, None, False
        if call.since(2, 53):
            query = lists.query_of(
                call, ("limit", "marker", "hypervisor_hostname_pattern", "with_servers"), strict=True
            )
            pattern = query.get("hypervisor_hostname_pattern")
            with_servers = _with_servers(query)
        if pattern is not None:
            if query.get("limit") is not None or query.get("marker"):
                raise BadRequest(
                    "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
                )
            return {"hypervisors": _view(tx, call, _matching(rows, pattern), detail=detail, with_servers=with_servers)}
        page, marker = _page(call, query, rows)
        views = _view(tx, call, page, detail=detail, with_servers=with_servers)
        return lists.page_of(call, "hypervisors", views, path, marker)

    operation.__doc__ = f"GET {path}."
    return operation


def _with_servers(query: Query) -> bool:
    given = query.get("with_servers")
    return False if given is None else flag("with_servers", given)


def _page(call: Call, query: Query, rows: Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    limit = lists.limit_of(query)
    marker = query.get("marker")
    key = "id" if call.since(2, 53) else "number"
    if marker is not None:
        for index, row in enumerate(rows):
            if str(getattr(row, key)) == marker:
                rows = rows[index + 1 :]
                break
        else:
            raise BadRequest(f"marker [{marker[:255]}] not found", kind="MarkerNotFound")
    return rows[:limit], str(getattr(rows[limit - 1], key)) if len(rows) > limit else None


def _matching(rows: Iterable[Any], pattern: str) -> list[Any]:
    try:
        wanted = msgspec.convert(pattern, HostName).lower()
    except msgspec.ValidationError:
        raise InvalidField("hypervisor_hostname_pattern", f"'{pattern[:255]}' is no part of a host's name") from None
    found = [row for row in rows if wanted in row.host.lower()]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _find(tx: Transaction, call: Call) -> Any:
    given = call.path["hypervisor_id"]
    if call.since(2, 53) and not ids.is_uuid(given):
        raise BadRequest(f"Invalid uuid {given[:255]}")
    key = "id" if call.since(2, 53) else "number"
    for row in hosts.rows(tx):
        if str(getattr(row, key)) == given:
            return row
    raise NotFound(f"Hypervisor with ID '{given[:255]}' could not be found.", kind="ComputeHostNotFound")


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{hypervisor_id}."""
    with_servers = False
    if call.since(2, 53):
        with_servers = _with_servers(lists.query_of(call, ("with_servers",), strict=True))
    return {"hypervisor": _view(tx, call, [_find(tx, call)], detail=True, with_servers=with_servers)[0]}


def uptime(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{hypervisor_id}/uptime, until 2.87."""
    row = _find(tx, call)
    if not hosts.is_up(row, tx.now):
        raise BadRequest(
            f"Compute service of {row.host} is unavailable at this time.", kind="ComputeServiceUnavailable"
        )
    text = hosts.capacity(row).uptime
    if not text:
        raise NotImplementedHere("The requested functionality is not supported: this host does not tell its uptime.")
    return {"hypervisor": _brief(tx, call, row) | {"uptime": text}}


def search(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{pattern}/search, until 2.52."""
    return {"hypervisors": _view(tx, call, _matching(hosts.rows(tx), call.path["hypervisor_id"]), detail=False)}


def servers(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{pattern}/servers, until 2.52."""
    rows = _matching(hosts.rows(tx), call.path["hypervisor_id"])
    return {"hypervisors": _view(tx, call, rows, detail=False, with_servers=True)}


def statistics(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/statistics, until 2.87: the sum of the hosts that are enabled."""
    used = use.by_host(tx)
    rows = [row for row in hosts.rows(tx) if not row.disabled]
    figures = [_figures(call, hosts.capacity(row), used.get(row.host, NO_USE)) for row in rows]
    total = {name: sum(one[name] for one in figures) for name in FIGURES}
    return {"hypervisor_statistics": total | {"count": len(rows)}}


_ALL = "/v2.1/os-hypervisors"
_ONE = f"{_ALL}/{{hypervisor_id}}"
_RULE = "os_compute_api:os-hypervisors"
_PAGING = ("limit", "marker", "hypervisor_hostname_pattern", "with_servers")
_BEFORE_53, _BEFORE_88 = Microversion(2, 52), Microversion(2, 87)

ROUTES = (
    Route("GET", _ALL, _list("/os-hypervisors", detail=False), f"{_RULE}:list", query=_PAGING),
    Route("GET", f"{_ALL}/detail", _list("/os-hypervisors/detail", detail=True), f"{_RULE}:list-detail", query=_PAGING),
    Route("GET", f"{_ALL}/statistics", statistics, f"{_RULE}:statistics", until=_BEFORE_88),
    Route("GET", _ONE, show, f"{_RULE}:show", query=("with_servers",)),
    Route("GET", f"{_ONE}/uptime", uptime, f"{_RULE}:uptime", until=_BEFORE_88),
    Route("GET", f"{_ONE}/search", search, f"{_RULE}:search", until=_BEFORE_53),
    Route("GET", f"{_ONE}/servers", servers, f"{_RULE}:servers", until=_BEFORE_53),
)

POLICIES = (
    Rule(f"{_RULE}:list", ADMIN, "List hypervisors."),
    Rule(f"{_RULE}:list-detail", ADMIN, "List hypervisors with what they have."),
    Rule(f"{_RULE}:statistics", ADMIN, "See what all hypervisors have together."),
    Rule(f"{_RULE}:show", ADMIN, "See what a hypervisor has."),
    Rule(f"{_RULE}:uptime", ADMIN, "See how long a hypervisor has been up."),
    Rule(f"{_RULE}:search", ADMIN, "Find hypervisors by name."),
    Rule(f"{_RULE}:servers", ADMIN, "List the servers of hypervisors."),
)
