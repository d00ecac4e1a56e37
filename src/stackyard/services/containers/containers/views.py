"""A container as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stackyard.core.call import Call
from stackyard.core.clock import iso_offset

HIDDEN = ("host", "image_pull_policy", "privileged", "runtime")
"""Keys that have a policy rule of their own."""


class ContainerView:
    """Renders containers for one call: what the caller may see, the address of links, and the present moment."""

    def __init__(self, call: Call) -> None:
        self._base = call.url()
        self._hidden = [key for key in HIDDEN if not call.allows(f"container:get_one:{key}")]
        self._now = call.runtime.database.clock.now()

    def __call__(self, row: Any) -> dict[str, Any]:
        """One row."""
        found = row_view(row, self._now)
        for key in self._hidden:
            del found[key]
        uuid = found["uuid"]
        found["links"] = [
            {"href": f"{self._base}/v1/containers/{uuid}", "rel": "self"},
            {"href": f"{self._base}/containers/{uuid}", "rel": "bookmark"},
        ]
        return found


_KEPT = 4096
_kept: dict[str, tuple[tuple[int, datetime | None], dict[str, Any]]] = {}


def row_view(row: Any, now: datetime) -> dict[str, Any]:
    """Every key but the links. What has been rendered of a row is kept until the row changes: lists are asked often."""
    key = (row.version, row.updated_at)
    kept = _kept.get(row.uuid)
    if kept is None or kept[0] != key:
        if len(_kept) >= _KEPT:
            _kept.clear()
        kept = _kept[row.uuid] = (key, _rendered(row))
    found = kept[1].copy()
    found["status_detail"] = status_detail(found["status"], row.observed, now)
    return found


def _rendered(row: Any) -> dict[str, Any]:
    spec: Mapping[str, Any] = row.spec
    observed: Mapping[str, Any] = row.observed
    return {
        "uuid": row.uuid,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "name": row.name,
        "image": row.image,
        "command": spec["command"] or observed.get("command") or None,
        "status": row.status,
        "status_reason": row.status_reason,
        "task_state": row.task_state,
        "cpu": row.cpu,
        "memory": str(row.memory),
        "environment": spec["environment"],
        "workdir": spec["workdir"],
        "ports": observed.get("ports", []),
        "hostname": row.hostname,
        "labels": spec["labels"],
        "addresses": row.addresses,
        "image_pull_policy": spec["image_pull_policy"],
        "host": row.host,
        "restart_policy": spec["restart_policy"],
        "status_detail": None,  # depends on the time
        "interactive": row.interactive,
        "tty": row.tty,
        "image_driver": row.image_driver,
        "security_groups": row.security_groups,
        "auto_remove": row.auto_remove,
        "runtime": spec["runtime"],
        "disk": row.disk,
        "auto_heal": row.auto_heal,
        "privileged": spec["privileged"],
        "healthcheck": spec["healthcheck"],
        "cpu_policy": spec["cpu_policy"],
        "registry_id": row.registry_id,
        "entrypoint": spec["entrypoint"] or observed.get("entrypoint") or None,
        "created_at": iso_offset(row.created_at),
        "updated_at": iso_offset(row.updated_at) if row.updated_at else None,
    }


def status_detail(status: str, observed: Mapping[str, Any], now: datetime) -> str | None:
    """How long it has been so: `Up 3 hours`, `Exited(0) 5 mins ago`."""
    if status in ("Running", "Paused"):
        health = observed.get("health")
        note = " (paused)" if status == "Paused" else f" ({health})" if health else ""
        return f"Up {elapsed(observed.get('started_at'), now)}{note}"
    if status == "Stopped":
        note = "(error)" if observed.get("error") else ""
        return f"Exited({observed.get('exit_code')}) {elapsed(observed.get('finished_at'), now)} ago {note}".rstrip()
    return status if status in ("Created", "Dead", "Restarting") else None


def elapsed(since: str | None, now: datetime) -> str:
    """The time since an ISO 8601 moment, in its largest unit."""
    if not since or since.startswith("0001"):
        return "0 seconds"
    # Engines write nanoseconds; the first 19 characters are the whole seconds, in UTC.
    seconds = max(0, int((now - datetime.fromisoformat(since[:19]).replace(tzinfo=UTC)).total_seconds()))
    for unit, length in (("days", 86400), ("hours", 3600), ("mins", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
