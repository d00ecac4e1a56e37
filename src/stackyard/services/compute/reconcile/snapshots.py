"""The tasks that fill the image which was reserved for a server: with its root disk; of one that boots from volumes,
with nothing, as the image only describes their snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Gone, NotFound
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.servers.snapshots import BACKUP
from stackyard.services.image import api as image_api
from stackyard.services.volume import api as volume_api

BLOCK_BYTES = 1 << 20
_LOOK_SECONDS = 0.3


def create_image(job: Job) -> Outcome:
    """An image that somebody deletes meanwhile was not wanted after all; the server goes on as it was."""
    with job.event("snapshot_instance"):
        job.set(task_state="image_snapshot")
        take(job, job.arguments["image_id"])
    job.finish()
    return DONE


def create_volume_image(job: Job) -> Outcome:
    """Make the image of a server that boots from volumes active, once there are the snapshots that it describes."""
    database, image_id = job.runtime.database, job.arguments["image_id"]
    if job.server.task_state != "image_snapshot":
        job.set(task_state="image_snapshot")
    for row in database.read("server.snapshots", volume_api.snapshot_rows, job.arguments["snapshots"]).values():
        if volume_api.has_failed(row):
            raise GiveUp(f"snapshot {row.id} of volume {row.volume_id} failed: {row.fault or 'it is in error'}.")
        if not volume_api.is_ready(row):
            return Again(_LOOK_SECONDS)
    with job.event("snapshot_instance"):
        formats = {"disk_format": "raw", "container_format": "bare"}
        if database.write("server.snapshot formats", image_api.declare, image_id, **formats):
            _store(job, image_id, iter(()))
    job.finish()
    return DONE


def create_backup(job: Job) -> Outcome:
    """The same, and then the oldest backups of the same type go that are more than `rotation`."""
    with job.event("backup_instance"):
        take(job, job.arguments["image_id"])
    job.finish(also=lambda tx: _rotate(tx, job))
    return DONE


def take(job: Job, image_id: str, *, prefix: str = "image") -> bool:
    """Fill a reserved image with the server's root disk, unless that has been done; False when it has been deleted.

    The task state says how far it is, in Nova's words: `<prefix>_pending_upload`, `<prefix>_uploading`.
    """
    database = job.runtime.database
    row = database.read("server.snapshot", image_api.find_any, image_id)
    if row is None or row.status in ("active", "deactivated"):
        return row is not None
    target = _file(job, image_id)
    try:
        target.unlink(missing_ok=True)  # what a crash left
        found = job.driver.snapshot(job.id, target)
        formats = {"disk_format": found.disk_format, "container_format": found.container_format}
        job.set(task_state=f"{prefix}_pending_upload")
        if not database.write("server.snapshot formats", image_api.declare, image_id, **formats):
            return False
        job.set(task_state=f"{prefix}_uploading")
        return _upload(job, image_id, target)
    except OSError as error:
        raise HostError(f"image {image_id} cannot be written: {error.strerror or error}") from error
    finally:
        target.unlink(missing_ok=True)


def _folder(runtime: Runtime) -> Path:
    return runtime[keys.STATE_DIR] / "compute" / "snapshots"


def _file(job: Job, image_id: str) -> Path:
    folder = _folder(job.runtime)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / image_id


def sweep(runtime: Runtime) -> None:
    """At start: delete what an earlier run has left half-way; what is wanted of it is begun anew."""
    for left in _folder(runtime).glob("*"):
        left.unlink(missing_ok=True)


def _upload(job: Job, image_id: str, source: Path) -> bool:
    return _store(job, image_id, _blocks(source))


def _store(job: Job, image_id: str, blocks: Iterator[bytes]) -> bool:
    try:
        image_api.store_image(job.runtime, image_id, blocks)
    except (NotFound, Gone):
        return False
    except (BadRequest, Conflict) as error:
        raise GiveUp(error.message) from error
    return True


def _blocks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _rotate(tx: Transaction, job: Job) -> None:
    """Delete the oldest backups; only those of the owner of the new one, and none that is protected."""
    wanted = {"image_type": BACKUP, "backup_type": job.arguments["backup_type"]}
    found = image_api.snapshots_of(tx, job.id, wanted)
    owner = next((row.project_id for row in found if row.id == job.arguments["image_id"]), job.server.project_id)
    own = [row for row in found if row.project_id == owner]
    for row in own[int(job.arguments["rotation"]) :]:
        if not row.protected:
            image_api.discard_image(tx, job.runtime, row.id)


def snapshot_failed(job: Job, reason: str) -> None:
    """The image goes, the server is as it was before."""
    text = f"Making an image of instance {job.id} failed: {reason} The server is as it was."
    job.fail(text, also=lambda tx: discard(tx, job), vm_state=job.server.vm_state, fault=job.server.fault)


def discard(tx: Transaction, job: Job) -> None:
    """Forget the image of the task, unless it has been filled."""
    image_id: Any = job.arguments.get("image_id")
    row = None if image_id is None else image_api.find_any(tx, image_id)
    if row is not None and row.status in ("queued", "saving"):
        image_api.discard_image(tx, job.runtime, image_id)


TASKS = {"create_image": create_image, "create_volume_image": create_volume_image, "create_backup": create_backup}
FAILURES = dict.fromkeys(TASKS, snapshot_failed)
