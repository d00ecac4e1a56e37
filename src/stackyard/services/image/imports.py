"""Import of staged data, and the tasks that tell how an import went."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.services.image import tables
from stackyard.services.image.images import IMPORT_METHODS, KIND
from stackyard.services.image.tables import tasks
from stackyard.services.image.views import STORE, task_view

IMPORTING = "os_glance_importing_to_stores"
FAILED = "os_glance_failed_import"
_TASK_KEPT = timedelta(hours=48)
_LARGEST_PAGE = 1000

_OF_IMAGE = (
    sa.select(tasks).where(tasks.c.image_id == bindparam("image")).order_by(tasks.c.created_at.desc(), tasks.c.id)
)
_ALL = sa.select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.id).limit(_LARGEST_PAGE)
_ONE = sa.select(tasks).where(tasks.c.id == bindparam("task"))
_INSERT = sa.insert(tasks)
_FORGET_OLD = sa.delete(tasks).where(tasks.c.expires_at < bindparam("now"))
_END = (
    sa.update(tasks)
    .where(tasks.c.image_id == bindparam("image"), tasks.c.status == "processing")
    .values(
        status=bindparam("s"), message=bindparam("text"), updated_at=bindparam("now"), expires_at=bindparam("until")
    )
)


def import_(tx: Transaction, call: Call) -> None:
    """Make staged data the image's data; done by the image's reconciler, which the image's status tells of."""
    image = call.target
    method = _method(call.body)
    stores = _stores(call.body)
    if method == "copy-image":
        call.require("copy_image", image)
        _copy(tx, call, stores)
        return
    call.require("modify_image", image)
    if image["status"] == "active":
        raise Conflict("Image with status active cannot be target for import")
    if image["status"] != "uploading" or image["upload"] is not None:
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    for name in ("container_format", "disk_format"):
        if not image[name]:
            raise Conflict(f"'{name}' needs to be set before import")
    properties = {**image["properties"], IMPORTING: STORE, FAILED: ""}
    if not tables.move(tx, image["id"], None, "uploading", {"status": "importing", "properties": properties}):
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    _add_task(tx, call)
    reconcile.mark(tx, KIND, image["id"])
    timeline.record(tx, KIND, image["id"], "import asked", method)


def _method(body: Any) -> str:
    method = body.get("method") if isinstance(body, dict) else None
    if not isinstance(method, dict):
        raise BadRequest("Import request requires a 'method' field.")
    name = method.get("name")
    if not isinstance(name, str):
        raise BadRequest("Import request requires a 'name' field.")
    if name not in IMPORT_METHODS:
        raise BadRequest(f"Unknown import method name '{name[:80]}'. The methods here are {', '.join(IMPORT_METHODS)}.")
    for flag in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(body.get(flag, False), bool):
            raise BadRequest(f"'{flag}' must be boolean value only")
    return name


def _stores(body: dict[str, Any]) -> list[str]:
    stores = body.get("stores")
    if stores is None:
        return [STORE]
    if not isinstance(stores, list) or not stores:
        raise BadRequest("'stores' must be a list of store names.")
    if body.get("all_stores"):
        raise Conflict("Only one of 'stores' and 'all_stores' can be given.")
    for store in stores:
        if store != STORE:
            raise Conflict(f"There is no store '{str(store)[:80]}'; the one store is '{STORE}'.")
    return stores


def _copy(tx: Transaction, call: Call, stores: list[str]) -> None:
    """There is one store, so every active image is in all stores already."""
    image = call.target
    if image["status"] != "active":
        raise Conflict("Only images with status active can be targeted for copying")
    if not call.body.get("all_stores"):
        raise BadRequest(f"Image is already present at store '{stores[0]}'")
    tables.update(tx, image["id"], {"properties": {**image["properties"], IMPORTING: "", FAILED: ""}})


def _add_task(tx: Transaction, call: Call) -> None:
    image, caller = call.target, call.caller
    tx.execute(_FORGET_OLD, {"now": tx.now})
    tx.execute(
        _INSERT,
        {
            "id": ids.new_uuid(),
            "image_id": image["id"],
            "project_id": caller.project_id,
            "user_id": caller.user_id,
            "request_id": call.request_id,
            "type": "api_image_import",
            "status": "processing",
            "input": {"image_id": image["id"], "import_req": call.body, "backend": [STORE]},
            "result": None,
            "message": "",
            "created_at": tx.now,
            "updated_at": tx.now,
            "expires_at": None,
        },
    )


def end_task(tx: Transaction, image_id: str, status: str, message: str) -> None:
    """Say how an image's running task went: success or failure, and why."""
    values = {"image": image_id, "s": status, "text": message, "now": tx.now, "until": tx.now + _TASK_KEPT}
    tx.execute(_END, values)


def image_tasks(tx: Transaction, call: Call) -> dict[str, Any]:
    """An image's tasks, latest first."""
    return {"tasks": [task_view(row) for row in tx.all(_OF_IMAGE, {"image": call.target["id"]})]}


def list_tasks(tx: Transaction, call: Call) -> dict[str, Any]:
    """Every task, without its input."""
    del call
    views = [_brief(row) for row in tx.all(_ALL)]
    return {"tasks": views, "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}


def show_task(tx: Transaction, call: Call) -> dict[str, Any]:
    """One task."""
    row = tx.first(_ONE, {"task": call.path["task_id"]}) if ids.is_uuid(call.path["task_id"]) else None
    if row is None:
        raise NotFound(f"Task {call.path['task_id'][:80]} could not be found.")
    return _brief(row) | {"input": row.input, "result": row.result, "message": row.message}


def create_task(tx: Transaction, call: Call) -> None:
    """Tasks of the type import fetch from the network, which is not offered: refused with the way to go instead."""
    del tx
    kind = call.body.get("type") if isinstance(call.body, dict) else None
    if kind != "import":
        raise BadRequest(f"Invalid task type: {str(kind)[:80]!r}. The one type is 'import'.")
    given = call.body.get("input")
    source = given.get("import_from") if isinstance(given, dict) else None
    raise BadRequest(
        f"URI for import_from is not allowed here: {str(source)[:200]}. Nothing is fetched from the network; "
        "create the image and upload its data, or stage and import it."
    )


def _brief(row: Any) -> dict[str, Any]:
    names = ("id", "type", "status", "owner", "created_at", "updated_at", "expires_at")
    view = task_view(row)
    brief = {name: view[name] for name in names if view[name] is not None}
    return brief | {"self": f"/v2/tasks/{row.id}", "schema": "/v2/schemas/task"}
