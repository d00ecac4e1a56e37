"""Makes the store agree with the images' rows: frees what is no image's, ends uploads that died, does imports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome, Reconciler
from stackyard.core.runtime import Runtime
from stackyard.services.image import imports, store, tables
from stackyard.services.image.formats import FormatRefused, Rules
from stackyard.services.image.images import KIND
from stackyard.services.image.metadefs import catalogue
from stackyard.services.image.upload import active_columns, requeue
from stackyard.services.image.views import STORE

LOOK_AGAIN_SECONDS = 5.0
DIED = "the upload was broken off"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about one image: wait, end a dead upload, import, and which files go."""

    wait: bool = False
    requeue: bool = False
    do_import: bool = False
    remove_data: bool = False
    remove_staged: bool = False


def plan(status: str | None, upload: str | None, alive: bool) -> Plan:
    """From an image's status (None: there is no such image), its upload, and whether that is still at work."""
    if status is None:
        return Plan(remove_data=True, remove_staged=True)
    if status in ("saving", "uploading") and upload is not None:
        if alive:
            return Plan(wait=True)
        return Plan(requeue=True, remove_data=True, remove_staged=True)
    if status == "importing":
        return Plan(do_import=True)
    if status == "uploading":
        return Plan(remove_data=True)
    return Plan(remove_data=status == "queued", remove_staged=True)


class ImageReconciler:
    """Brings the files of one image in line with its row."""

    kind = KIND
    deadline = 3600.0

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def reconcile(self, resource_id: str) -> Outcome:
        """Take the next steps."""
        runtime = self.runtime
        with store.settling(runtime):
            row = runtime.database.read("image.look", tables.find, resource_id)
            status: str | None = None if row is None else row.status
            upload: str | None = None if row is None else row.upload
            alive = upload is not None and store.is_being_written(runtime, resource_id, upload)
            steps = plan(status, upload, alive)
            if steps.wait:
                return Again(LOOK_AGAIN_SECONDS)
            if steps.requeue and not runtime.database.write(
                "image.upload.died", requeue, resource_id, upload, str(status), DIED
            ):
                return Again(0)  # it moved on meanwhile: look anew before anything is removed
            store.remove(runtime, resource_id, data=steps.remove_data, staged=steps.remove_staged)
        if steps.do_import:
            self._import(row)
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        """Give an import up; other work has no end but the right one, and the next start looks again."""
        self.runtime.database.write("image.import.expire", _import_failed, resource_id, reason)

    def _import(self, row: Any) -> None:
        runtime, image_id = self.runtime, row.id
        staged, target = store.staged_path(runtime, image_id), store.data_path(runtime, image_id)
        # After a crash between renaming and writing the row, the data is at its place already.
        path = staged if staged.exists() or not target.exists() else target
        try:
            content = store.digest_file(path)
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                rules = Rules.of(runtime.settings.image)
                inspected = store.inspect_file(fd, row.disk_format, row.container_format, rules)
            finally:
                os.close(fd)
        except (FormatRefused, FileNotFoundError) as error:
            reason = str(error) if isinstance(error, FormatRefused) else "the staged data is gone"
            runtime.database.write("image.import.fail", _import_failed, image_id, reason)
            store.remove(runtime, image_id, data=True, staged=True)
            return
        with store.settling(runtime):
            if path == staged:
                store.publish(staged, target)
            after = active_columns(content, inspected)
            if not runtime.database.write("image.import.end", _import_ended, image_id, after):
                store.remove(runtime, image_id, data=True, staged=True)


def _import_ended(tx: Transaction, image_id: str, values: dict[str, Any]) -> bool:
    row = tables.find(tx, image_id)
    if row is None:
        return False
    properties = {**row.properties, imports.IMPORTING: "", imports.FAILED: ""}
    if tables.move(tx, image_id, None, "importing", {**values, "properties": properties}):
        imports.end_task(tx, image_id, "success", "")
        timeline.record(tx, KIND, image_id, "imported", f"{values['size']} bytes")
    return True


def _import_failed(tx: Transaction, image_id: str, reason: str) -> None:
    row = tables.find(tx, image_id)
    if row is None or not requeue(tx, image_id, None, "importing", reason):
        return
    properties = {**row.properties, imports.IMPORTING: "", imports.FAILED: STORE}
    tables.update(tx, image_id, {"properties": properties})
    imports.end_task(tx, image_id, "failure", reason)


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """The image service's reconcilers."""
    return [ImageReconciler(runtime)]


def sweep(runtime: Runtime) -> None:
    """At start: have every image looked at that was in the middle of something, and every file of no image.

    A cloud that has never had it is given the standard catalogue of metadata definitions.
    """
    found = {image_id for image_id, _ in store.stray(runtime)}

    def mark(tx: Transaction) -> None:
        catalogue.load(tx)
        rows = tx.all(tables.STATUSES)
        settled = {row.id for row in rows if row.status in ("active", "deactivated")}
        unsettled = {row.id for row in rows if row.status in ("saving", "uploading", "importing")}
        incoming = {image_id for image_id, path in store.stray(runtime) if path.parent.name != "images"}
        for image_id in sorted(unsettled | (found - settled) | incoming):
            reconcile.mark(tx, KIND, image_id)

    runtime.database.write("image.sweep", mark)
