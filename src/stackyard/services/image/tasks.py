"""Tasks: what is being done about an image, or was, and how it went. `/v2/tasks` is the operator's view of them.

A task that is processing is work for its image's reconciler (`importing.py`, `hashing.py`); it stays so until its end
is written down, so work that was interrupted is taken up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.paging import EVERYTHING, Filter, Listing
from stackyard.services.image import bodies, images
from stackyard.services.image.images import KIND
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.image.tables import tasks
from stackyard.services.image.views import task_view

IMPORT = "import"
IMAGE_IMPORT = "api_image_import"
LOCATION_IMPORT = "location_import"
_KEPT = timedelta(hours=48)
_STATUSES = ("pending", "processing", "success", "failure")

_OF_IMAGE = (
    sa.select(tasks).where(tasks.c.image_id == bindparam("image")).order_by(tasks.c.created_at.desc(), tasks.c.id)
)
_ONE = sa.select(tasks).where(tasks.c.id == bindparam("task"))
_RUNNING = sa.select(tasks).where(tasks.c.image_id == bindparam("image"), tasks.c.status == "processing")
ALL_RUNNING = sa.select(tasks.c.image_id).where(tasks.c.status == "processing")
_INSERT = sa.insert(tasks)
_FORGET_OLD = sa.delete(tasks).where(tasks.c.expires_at < bindparam("now"))
_AT_WORK = sa.and_(tasks.c.id == bindparam("task"), tasks.c.status == "processing")
_TELL = sa.update(tasks).where(_AT_WORK).values(message=bindparam("text"), updated_at=bindparam("now"))
_END = (
    sa.update(tasks)
    .where(_AT_WORK)
    .values(
        status=bindparam("s"),
        message=bindparam("text"),
        result=bindparam("r", type_=sa.JSON),
        updated_at=bindparam("now"),
        expires_at=bindparam("until"),
    )
)
_listing = Listing(
    tasks,
    filters={"status": Filter(tasks.c.status), "type": Filter(tasks.c.type)},
    sort_keys=("created_at", "updated_at", "expires_at", "status", "type", "id"),
    default_sort=(("created_at", "desc"),),
    page_size=25,
)


def add(tx: Transaction, call: Call, image_id: str, *, kind: str, given: Mapping[str, Any], work: Any = None) -> Any:
    """Write a task that is to be done by the image's reconciler, and return its row."""
    caller = call.caller
    tx.execute(_FORGET_OLD, {"now": tx.now})
    row = {
        "id": ids.new_uuid(),
        "image_id": image_id,
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "request_id": call.request_id,
        "type": kind,
        "status": "processing",
        "input": dict(given),
        "result": None,
        "work": work,
        "message": "",
        "created_at": tx.now,
        "updated_at": tx.now,
        "expires_at": None,
    }
    tx.execute(_INSERT, row)
    reconcile.mark(tx, KIND, image_id)
    return tx.first(_ONE, {"task": row["id"]})


def running(tx: Transaction, image_id: str) -> Any:
    """The task that an image is at, if any."""
    return tx.first(_RUNNING, {"image": image_id})


def find(tx: Transaction, task_id: str) -> Any:
    """A task's row."""
    return tx.first(_ONE, {"task": task_id})


def is_running(tx: Transaction, task_id: str) -> bool:
    """Whether a task is still to be done."""
    row = find(tx, task_id)
    return row is not None and row.status == "processing"


def tell(tx: Transaction, task_id: str, message: str) -> None:
    """Say how far a task is."""
    tx.execute(_TELL, {"task": task_id, "text": message, "now": tx.now})


def end(tx: Transaction, task_id: str, message: str = "", *, image_id: str | None = None) -> bool:
    """Say that a task is done: with success when `image_id` is given, else that it failed by `message`."""
    values = {
        "task": task_id,
        "s": "failure" if image_id is None else "success",
        "r": None if image_id is None else {"image_id": image_id},
        "text": message[:2000],
        "now": tx.now,
        "until": tx.now + _KEPT,
    }
    return tx.execute(_END, values).rowcount > 0


def of_image(tx: Transaction, call: Call) -> dict[str, Any]:
    """An image's tasks, latest first."""
    return {"tasks": [task_view(row) for row in tx.all(_OF_IMAGE, {"image": call.target["id"]})]}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Every task, without its input."""
    for value in call.query.all("status"):
        if value not in _STATUSES:
            raise BadRequest(f"Invalid status value: {value[:40]}")
    page = _listing.page(tx, call.query, EVERYTHING)
    pairs = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    body = {
        "tasks": [_brief(row) for row in page.rows],
        "first": "/v2/tasks" + (f"?{urlencode(pairs)}" if pairs else ""),
        "schema": "/v2/schemas/tasks",
    }
    if page.marker is not None:
        body["next"] = f"/v2/tasks?{urlencode([*pairs, ('marker', page.marker)])}"
    return body


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One task."""
    row = tx.first(_ONE, {"task": call.path["task_id"]}) if ids.is_uuid(call.path["task_id"]) else None
    if row is None:
        raise NotFound(f"Task {call.path['task_id'][:80]} could not be found.")
    return _whole(row)


def create(tx: Transaction, call: Call) -> Reply:
    """Import an image from an address that the operator allows: the image is made, and filled by its reconciler."""
    given = _input(call)
    properties = given["image_properties"]
    image_id, attributes, rest = bodies.new_image(properties)
    for name in ("disk_format", "container_format"):
        if not attributes.get(name):
            raise BadRequest(f"Input does not contain image_properties.{name}")
    owner = attributes.pop("owner", call.caller.project_id)
    target = {"project_id": owner, "owner": owner, "member_id": None, "visibility": "private"}
    call.require("add_image", target)
    if "visibility" in attributes:
        images.require_visibility(call, attributes["visibility"], target)
    attributes["status"] = "importing"
    row = images.insert(tx, call, image_id=image_id, owner=owner, given=attributes, properties=rest)
    stores = [stores_of(call.runtime).default]
    task = add(tx, call, row.id, kind=IMPORT, given=given, work={"uri": given["import_from"], "stores": stores})
    timeline.record(tx, KIND, row.id, "import asked", IMPORT)
    return Reply(_whole(task), status=201, headers={"Location": call.url(f"/v2/tasks/{task.id}")})


def _input(call: Call) -> dict[str, Any]:
    kind = call.body.get("type")
    if kind != IMPORT:
        raise BadRequest(f"Invalid task type: {str(kind)[:80]!r}. The one type is 'import'.")
    given = call.body.get("input")
    if not isinstance(given, dict):
        raise BadRequest("A task needs an object 'input'.")
    for name, wanted in (("import_from", str), ("import_from_format", str), ("image_properties", dict)):
        if not isinstance(given.get(name), wanted):
            raise BadRequest(f"Input does not contain '{name}' field")
    try:
        stores_of(call.runtime).allowed.check(given["import_from"])
    except NotAllowed as error:
        shown = given["import_from"][:200]
        raise BadRequest(f"URI for import_from does not pass filtering: {shown} ({error}).") from None
    return given


def _whole(row: Any) -> dict[str, Any]:
    return _brief(row) | {"input": row.input, "result": row.result, "message": row.message}


def _brief(row: Any) -> dict[str, Any]:
    names = ("id", "type", "status", "owner", "image_id", "request_id", "user_id")
    times = ("created_at", "updated_at", "expires_at")
    view = task_view(row)
    brief = {name: view[name] for name in (*names, *times) if view[name] is not None}
    return brief | {"self": f"/v2/tasks/{row.id}", "schema": "/v2/schemas/task"}
