"""The task `upload`: a volume's content becomes the image that was reserved for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Gone, NotFound
from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.image import api as image_api
from stackyard.services.volume.reconcile.job import Job, Told

BLOCK_BYTES = 1 << 20


def upload(job: Job) -> Outcome:
    """Fill the image, unless that has been done; one that somebody deleted meanwhile was not wanted after all."""
    image_id, disk_format = job.arguments["image_id"], job.arguments["disk_format"]
    database = job.runtime.database
    formats = {"disk_format": disk_format, "container_format": job.arguments.get("container_format") or "bare"}
    if database.write("volume.image formats", image_api.declare, image_id, **formats):
        try:
            with _image(job, disk_format) as data:
                image_api.store_image(job.runtime, image_id, _blocks(data))
        except (BadRequest, Conflict) as error:
            raise GiveUp(error.message) from error
        except (NotFound, Gone):
            pass
    job.finish(lambda _tx, _now: {"status": job.arguments["status"], "fault": None})
    return DONE


def upload_failed(job: Job, reason: str) -> None:
    """The image goes, the volume is as it was."""

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        row = image_api.find_any(tx, job.arguments["image_id"])
        if row is not None and row.status in ("queued", "saving"):
            image_api.discard_image(tx, job.runtime, row.id)
        return {"status": job.arguments["status"]}

    job.fail(reason, write, Told("003", "004"))


@contextlib.contextmanager
def _image(job: Job, disk_format: str) -> Iterator[BinaryIO]:
    """The volume as an image of that format."""
    if disk_format == "raw":
        with job.driver.read(job.id) as data:
            yield data
        return
    folder = _folder(job.runtime)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / job.arguments["image_id"]
    try:
        target.unlink(missing_ok=True)  # what a crash left
        job.driver.save(job.id, target, disk_format)
        with target.open("rb") as data:
            yield data
    finally:
        target.unlink(missing_ok=True)


def _folder(runtime: Runtime) -> Path:
    return runtime[keys.STATE_DIR] / "volumes-uploads"


def sweep(runtime: Runtime) -> None:
    """At start: delete what an earlier run has left half-way; what is wanted of it is begun anew."""
    for left in _folder(runtime).glob("*"):
        left.unlink(missing_ok=True)


def _blocks(data: BinaryIO) -> Iterator[bytes]:
    while block := data.read(BLOCK_BYTES):
        yield block
