"""Listing, showing, changing and deleting containers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope, boolean
from stackyard.services.containers import action_log, quotas
from stackyard.services.containers.containers import states, tables
from stackyard.services.containers.containers.bodies import Name
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.draft import CPU_RANGE, MEMORY_RANGE
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.containers.tables import containers
from stackyard.services.containers.containers.values import Flag, decimal, flag, of_call, parameters, whole
from stackyard.services.containers.containers.views import ContainerView
from stackyard.services.containers.faults import parameter_since

STOP_BEFORE_DELETE = 10
"""Seconds that a container has to end by itself when it is deleted with `stop`."""

_TEXTS = ("name", "image", "project_id", "user_id", "host", "task_state", "status")
_SORTABLE = ("id", "uuid", "created_at", "updated_at", "cpu", "memory", "disk", "image_driver", *_TEXTS)

LISTING = Listing(
    containers,
    {
        **{name: Filter(containers.c[name]) for name in _TEXTS},
        "memory": Filter(containers.c.memory, lambda name, value: whole(name, value, 0, 2**31 - 1)),
        "auto_remove": Filter(containers.c.auto_remove, boolean),
    },
    sort_keys=_SORTABLE,
    default_sort=(("id", "asc"),),
    others=("all_projects", "expand", "resource_url"),
    unknown="refuse",
    page_size=1000,
    key="uuid",
)
_OF_PROJECT = containers.c.project_id == bindparam("own_project")


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/containers."""
    query = call.query
    scope = Scope("project", _OF_PROJECT, {"own_project": call.caller.project_id})
    if flag("all_projects", query.get("all_projects")):
        call.require("container:get_all_all_projects")
        scope = EVERYTHING
    if query.get("host") is not None:
        call.require("container:get_one:host")
    if query.get("limit") in ("", "0"):
        raise BadRequest("Invalid input for limit: it must be a positive integer.", kind="InvalidValue")
    page = LISTING.page(tx, query, scope)
    view = ContainerView(call)
    return {"containers": [view(row) for row in page.rows], "next": _next(call, page.marker)}


def _next(call: Call, marker: str | None) -> str | None:
    if marker is None:
        return None
    kept = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    return call.url(f"/v1/containers?{urlencode([*kept, ('marker', marker)])}")


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/containers/{container}."""
    del tx
    if flag("all_projects", call.query.get("all_projects")):
        call.require("container:get_one_all_projects")
    return ContainerView(call)(call.target)


def patch(tx: Transaction, call: Call) -> dict[str, Any]:
    """PATCH /v1/containers/{container}: name, cpu, memory, auto_heal."""
    return _change(tx, call, "update")


def resize(tx: Transaction, call: Call) -> Reply:
    """POST /v1/containers/{container}/resize_container: cpu and memory."""
    return Reply(_change(tx, call, "resize_container"), status=202)


def _change(tx: Transaction, call: Call, action: str) -> dict[str, Any]:
    row, body = call.target, call.body
    states.require(row, action)
    changed: dict[str, Any] = {}
    if body.name is not UNSET:
        if body.name is None:
            raise InvalidField("name", "it cannot be null.", kind="SchemaValidationError")
        changed["name"] = body.name
    if body.auto_heal is not UNSET:
        changed["auto_heal"] = flag("auto_heal", body.auto_heal)
    cpu = None if body.cpu is UNSET else decimal("cpu", body.cpu, *CPU_RANGE)
    memory = None if body.memory is UNSET else whole("memory", body.memory, *MEMORY_RANGE)
    if cpu is not None or memory is not None:
        changed |= {"cpu": row.cpu if cpu is None else cpu, "memory": row.memory if memory is None else memory}
        more = quotas.amounts(cpu=changed["cpu"] - row.cpu, memory=changed["memory"] - row.memory)
        quotas.reserve(tx, call.runtime, row.project_id, more)
        changed["limits_changed"] = True
    if not changed:
        return ContainerView(call)(row)
    tables.update(tx, row, **changed)
    # A name is only in the database; limits are made true on the host.
    action_log.begin(tx, call, row.uuid, action, finished="limits_changed" not in changed)
    timeline.record(tx, KIND, row.uuid, f"{action} asked", ", ".join(f"{k}={v}" for k, v in changed.items()))
    if "limits_changed" in changed:
        reconcile.mark(tx, reconcile.kind_on(KIND, row.host), row.uuid)
    return ContainerView(call)(tables.by_uuid(tx, row.uuid))


class RenameParameters(Body):
    """The new name."""

    name: Name


def rename(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /v1/containers/{container}/rename (to 1.13)."""
    row, name = call.target, of_call(RenameParameters, call).name
    if row.name == name:
        raise Conflict("The new name for the container is the same as the old name.")
    tables.update(tx, row, name=name)
    action_log.begin(tx, call, row.uuid, "rename", finished=True)
    timeline.record(tx, KIND, row.uuid, "renamed", name)
    return ContainerView(call)(tables.by_uuid(tx, row.uuid))


class DeleteParameters(Body):
    """How to delete."""

    force: Flag = False
    stop: Flag = False
    all_projects: Flag = False


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /v1/containers/{container}: at once wanted gone; the row goes when all that it had is given back."""
    asked = parameters(DeleteParameters, call.query)
    force, stop = flag("force", asked.force), flag("stop", asked.stop)
    if flag("all_projects", asked.all_projects):
        call.require("container:delete_all_projects")
    row: Row[Any] = call.target
    if stop:
        if not call.since(1, 12):
            raise parameter_since("stop", "1.12", call.microversion)
        states.require(row, "delete_after_stop")
    elif force:
        if not call.since(1, 7):
            raise parameter_since("force", "1.7", call.microversion)
        call.require("container:delete_force")
        states.require(row, "delete_force")
    else:
        states.require(row, "delete")
    want_deleted(tx, row, stop_timeout=STOP_BEFORE_DELETE if stop else None)
    action_log.begin(tx, call, row.uuid, "delete")
    timeline.record(tx, KIND, row.uuid, "delete asked", "after a stop" if stop else "by force" if force else "")


def want_deleted(tx: Transaction, row: Any, *, stop_timeout: int | None = None) -> None:
    """Want it gone, whatever its state."""
    tables.update(
        tx,
        row,
        wanted=Wanted.DELETED,
        stop_timeout=stop_timeout,
        status=Status.DELETING,
        status_reason=None,
        task_state="container_deleting",
    )
    reconcile.mark(tx, reconcile.kind_on(KIND, row.host), row.uuid)
