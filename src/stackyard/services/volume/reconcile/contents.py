"""What a new volume begins with: nothing, an image, a snapshot, another volume, a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackyard.core.errors import ApiError, BadRequest, NotFound
from stackyard.core.reconcile import GiveUp
from stackyard.host.errors import HostError, NotFoundError
from stackyard.services.image import api as image_api
from stackyard.services.volume.reconcile.job import Job


def _blank(job: Job) -> None:
    job.driver.create(job.id, job.row.size)


def _snapshot(job: Job) -> None:
    source = job.arguments["source_id"]
    try:
        job.driver.create_from_snapshot(job.id, job.row.size, source)
    except NotFoundError:
        raise GiveUp(f"Snapshot {source} is not there any more.") from None


def _volume(job: Job) -> None:
    source = job.arguments["source_id"]
    try:
        job.driver.clone(job.id, job.row.size, source)
    except NotFoundError:
        raise GiveUp(f"Volume {source} is not there any more.") from None


def _image(job: Job) -> None:
    from_image(job, job.arguments["source_id"])


def from_image(job: Job, image_id: str) -> None:
    """Make the volume with an image's content, as far as it is not made yet. Raises GiveUp when the image is unfit."""
    row = job.runtime.database.read("volume.image", image_api.find_any, image_id)
    if row is None:
        raise GiveUp(f"Image {image_id} has been deleted.")
    try:
        with image_api.image_file(job.runtime, image_id) as data:
            job.driver.create_from_image(job.id, job.row.size, Path(f"/proc/self/fd/{data.fileno()}"), row.disk_format)
    except NotFound:
        raise GiveUp(f"Image {image_id} has no data: it was deleted.") from None
    except BadRequest as error:
        raise GiveUp(error.message) from error
    except ApiError as error:
        raise HostError(error.message) from error


SOURCES: dict[str, Callable[[Job], Any]] = {
    "blank": _blank,
    "image": _image,
    "snapshot": _snapshot,
    "volume": _volume,
}
"""By the name in the task."""
