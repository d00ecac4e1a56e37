"""Doing an import: get the data, look at it, bring it into each store asked for, and write each step down.

Runs as a job of the image's reconciler and may be killed anywhere: begun again, it finds what is written down already
(the data fetched, the stores done) and goes on from there. It ends early when its image or its task is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError
from stackyard.core.runtime import Runtime
from stackyard.services.image import images, store, tables, tasks
from stackyard.services.image.delivery import deliver
from stackyard.services.image.download import open_image
from stackyard.services.image.formats import FormatRefused, Rules
from stackyard.services.image.images import KIND
from stackyard.services.image.imports import FAILED, IMPORTING, TASK
from stackyard.services.image.store import Content, Incoming
from stackyard.services.image.stores import Source, StoreFault
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import COPY, GLANCE, stores_of
from stackyard.services.image.upload import active_columns, requeue

READ_BYTES = 1 << 20
_LOOK_SECONDS = 1.0
_TELL_SECONDS = 5.0
COPIED = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
"""Beginnings of the properties that glance-download takes over, as Glance does by default."""


class Stopped(Exception):
    """The image or its task is gone: there is nothing to do any more."""


class Refused(Exception):
    """The import cannot succeed; the text is for the user."""


def run(runtime: Runtime, image: Any, task: Any) -> None:
    """Do what a task wants of an image (their rows); the outcome is in the database."""
    work = task.work or {}
    copying = work.get("method") == COPY
    try:
        path = _data(runtime, image, task)
        columns: dict[str, Any] = {}
        if not copying:
            columns = _inspected(runtime, _taken_over(runtime, image, task), path)
        failed = [name for name in work["stores"] if not _to_store(runtime, image.id, task, name, path, columns)]
        if len(failed) == len(work["stores"]):
            raise Refused("None of the stores could take the data: " + "; ".join(_messages(runtime, task.id)))
        runtime.database.write("image.import.end", _end, image.id, task, copying)
    except Stopped:
        return
    except (Refused, FormatRefused, StoreFault, NotAllowed, ApiError, OSError) as error:
        reason = _reason(runtime, error)
        runtime.database.write("image.import.fail", fail, runtime, image.id, task, reason)


def _reason(runtime: Runtime, error: Exception) -> str:
    if isinstance(error, ApiError):
        return error.message
    if isinstance(error, FileNotFoundError):
        return "the staged data is gone"
    if isinstance(error, OSError):
        fault = store.storage_fault(error, store.images_dir(runtime))
        return fault.message if fault else f"the data could not be kept: {error.strerror or type(error).__name__}"
    return str(error)


# -- getting the data


def _data(runtime: Runtime, image: Any, task: Any) -> Path:
    """The file with the data: staged by a client, fetched before, or fetched now."""
    work = task.work or {}
    if "refused" in work:
        raise Refused(work["refused"])
    fetched = store.staged_path(runtime, image.id, task.id)
    opened: Callable[[], Source]
    if "uri" in work:
        opened = lambda: _open_uri(runtime, work["uri"])  # noqa: E731
    elif "source" in work:
        opened = lambda: open_image(runtime, work["source"])  # noqa: E731
    elif work.get("method") == COPY:
        present = {location["store"] for location in tables.locations_of(image)}
        for files in stores_of(runtime).file_stores:
            if files.info.id in present and files.path(image.id).exists():
                return files.path(image.id)
        opened = lambda: open_image(runtime, image.id)  # noqa: E731
    else:
        return store.staged_path(runtime, image.id)
    if not fetched.exists():
        content = _fetch(runtime, task, opened, fetched)
        if work.get("method") == COPY and image.checksum not in (None, content.md5):
            fetched.unlink()
            raise Refused("What was read is not what was stored: its checksum differs.")
    return fetched


def _open_uri(runtime: Runtime, uri: str) -> Source:
    try:
        return stores_of(runtime).fetcher.open(uri)
    except NotAllowed as error:
        raise Refused(f"{uri[:200]} may not be fetched: {error}.") from None


def _fetch(runtime: Runtime, task: Any, opened: Callable[[], Source], target: Path) -> Content:
    folder = store.incoming_dir(runtime)
    name = f"{task.image_id}.{task.id}"
    (folder / name).unlink(missing_ok=True)  # of an attempt that was killed; only one reconciler is at an image
    source = opened()
    try:
        with Incoming(runtime, task.image_id, task.id, folder) as incoming:
            store.feed_all(incoming, watched(runtime, task, source))
            content = incoming.finish()
            incoming.keep_as(target)
            return content
    finally:
        source.close()


def watched(runtime: Runtime, task: Any, source: Source) -> Iterator[bytes]:
    """A source's blocks, as long as the task is wanted and its time lasts. Raises Stopped, Refused, StoreFault."""
    started = looked = told = time.monotonic()
    allowed = runtime.settings.image.fetch_deadline
    position = 0
    while block := source.read(position, READ_BYTES):
        position += len(block)
        now = time.monotonic()
        if now - started > allowed:
            raise Refused(f"Fetching took longer than {allowed} seconds; {position} bytes had come.")
        if now - looked > _LOOK_SECONDS:
            looked = now
            if not runtime.database.read("image.task.look", _wanted, task):
                raise Stopped
        if now - told > _TELL_SECONDS:
            told = now
            runtime.database.write("image.task.tell", tasks.tell, task.id, f"Copied {position >> 20} MiB")
        yield block


def _wanted(tx: Transaction, task: Any) -> bool:
    return tasks.is_running(tx, task.id) and tables.find(tx, task.image_id) is not None


def _taken_over(runtime: Runtime, image: Any, task: Any) -> Any:
    """The image as its row is now, with the formats and properties of the image that it is a copy of."""
    work = task.work or {}
    if work.get("method") == GLANCE:
        runtime.database.write("image.import.properties", _take_over, image.id, work["source"])
    row = runtime.database.read("image.import.look", tables.find, image.id)
    if row is None:
        raise Stopped
    return row


def _take_over(tx: Transaction, image_id: str, source_id: str) -> None:
    row, source = tables.find(tx, image_id), tables.find(tx, source_id)
    if row is None or source is None:
        return
    copied = {name: value for name, value in source.properties.items() if name.startswith(COPIED)}
    values = {"disk_format": source.disk_format, "container_format": source.container_format}
    tables.update(tx, image_id, {**values, "properties": {**row.properties, **copied}})


def _inspected(runtime: Runtime, image: Any, path: Path) -> dict[str, Any]:
    """The columns of an image that has this data."""
    content: Content = store.digest_file(path)
    limit = runtime.settings.image.size_limit
    if content.size > limit:
        raise Refused(f"The image has {content.size} bytes; the most that one may have here is {limit}.")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rules = Rules.of(runtime.settings.image)
        inspected = store.inspect_file(fd, image.disk_format, image.container_format, rules)
    finally:
        os.close(fd)
    return active_columns(content, inspected)


# -- into the stores


def _to_store(runtime: Runtime, image_id: str, task: Any, store_id: str, path: Path, columns: dict[str, Any]) -> bool:
    """Bring the data into one store; False when that failed and others may do."""
    row = runtime.database.read("image.import.look", tables.find, image_id)
    if row is None or not runtime.database.read("image.task.look", _wanted, task):
        raise Stopped
    if any(location["store"] == store_id for location in tables.locations_of(row)):
        return True  # done before a crash
    last = store_id == task.work["stores"][-1]
    active_now = last or not task.work.get("must_succeed", True)

    def record(tx: Transaction, location: dict[str, Any]) -> bool:
        return _record(tx, image_id, task, location, columns if active_now else {})

    try:
        if not deliver(runtime, image_id, task.id, store_id=store_id, path=path, record=record):
            raise Stopped
    except (StoreFault, OSError) as error:
        reason = _reason(runtime, error)
        must = task.work.get("must_succeed", True)
        runtime.database.write("image.import.store-failed", _store_failed, image_id, task.id, store_id, reason)
        if must:
            raise Refused(reason) from error
        return False
    return True


def _record(tx: Transaction, image_id: str, task: Any, location: dict[str, Any], columns: dict[str, Any]) -> bool:
    row = tables.find(tx, image_id)
    if row is None or not tasks.is_running(tx, task.id):
        return False
    locations = [known for known in tables.locations_of(row) if known["store"] != location["store"]]
    values: dict[str, Any] = {"locations": [*locations, location]}
    if IMPORTING in row.properties:
        waiting = {*row.properties[IMPORTING].split(",")} - {"", location["store"]}
        values["properties"] = {**row.properties, IMPORTING: ",".join(sorted(waiting))}
    tables.update(tx, image_id, {**columns, **values})
    timeline.record(tx, KIND, image_id, "stored", location["store"])
    return True


def _store_failed(tx: Transaction, image_id: str, task_id: str, store_id: str, reason: str) -> None:
    row = tables.find(tx, image_id)
    if row is None:
        return
    failed = {*row.properties.get(FAILED, "").split(","), store_id} - {""}
    importing = {*row.properties.get(IMPORTING, "").split(",")} - {"", store_id}
    properties = {FAILED: ",".join(sorted(failed)), IMPORTING: ",".join(sorted(importing))}
    tables.update(tx, image_id, {"properties": {**row.properties, **properties}})
    tasks.tell(tx, task_id, f"{store_id}: {reason}")
    timeline.record(tx, KIND, image_id, "store failed", f"{store_id}: {reason}")


def _messages(runtime: Runtime, task_id: str) -> list[str]:
    row = runtime.database.read("image.task.look", tasks.find, task_id)
    return [row.message] if row is not None and row.message else []


# -- how it ends


def _end(tx: Transaction, image_id: str, task: Any, copying: bool) -> None:
    row = tables.find(tx, image_id)
    if row is None or not tasks.end(tx, task.id, image_id=image_id):
        return
    properties = {name: value for name, value in row.properties.items() if name != TASK}
    if task.type == tasks.IMAGE_IMPORT:
        properties |= {IMPORTING: "", FAILED: row.properties.get(FAILED, "")}
    tables.update(tx, image_id, {"properties": properties})
    timeline.record(tx, KIND, image_id, "copied" if copying else "imported", f"{row.size} bytes")


def fail(tx: Transaction, runtime: Runtime, image_id: str, task: Any, reason: str) -> None:
    """Give a task up: what it had brought into stores goes again, and the image waits for data as before."""
    if not tasks.end(tx, task.id, reason):
        return
    row = tables.find(tx, image_id)
    if row is None:
        return
    if task.type == tasks.IMPORT:
        images.forget(tx, runtime, row._mapping)
        return
    work = task.work or {}
    targets = set(work.get("stores", ()))
    failed = row.properties.get(FAILED, "") or ",".join(sorted(targets))
    properties = {name: value for name, value in row.properties.items() if name != TASK}
    values: dict[str, Any] = {"properties": properties | {IMPORTING: "", FAILED: failed}}
    if work.get("method") == COPY:
        if work.get("must_succeed", True):
            values["locations"] = [known for known in tables.locations_of(row) if known["store"] not in targets]
        timeline.record(tx, KIND, image_id, "copy failed", reason)
    else:
        requeue(tx, image_id, None, row.status, reason)
    tables.update(tx, image_id, values)
    reconcile.mark(tx, KIND, image_id)
