"""What a volume begins with: nothing, an image, a snapshot, another volume, a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackyard.core.errors import ApiError, BadRequest, NotFound
from stackyard.core.reconcile import GiveUp
from stackyard.core.runtime import Runtime
from stackyard.host.disks.archive import Archive
from stackyard.host.disks.drivers import archive_of
from stackyard.host.errors import HostError, NotFoundError
from stackyard.services import keys
from stackyard.services.image import api as image_api
from stackyard.services.volume.backups import finding
from stackyard.services.volume.reconcile.job import Job


def archive(runtime: Runtime) -> Archive:
    """The backups that this host can reach."""
    return archive_of(runtime[keys.STATE_DIR], runtime.settings)


def _blank(job: Job) -> None:
    job.driver.create(job.id, job.row.size)


def _snapshot(job: Job) -> None:
    source = job.arguments["source_id"]
    try:
        job.driver.create_from_snapshot(job.id, job.row.size, source)
    except NotFoundError:
        raise GiveUp(f"Snapshot {source} is not on this host.") from None


def _volume(job: Job) -> None:
    source = job.arguments["source_id"]
    try:
        job.driver.clone(job.id, job.row.size, source)
    except NotFoundError:
        raise GiveUp(f"Volume {source} is not on this host.") from None


def _image(job: Job) -> None:
    from_image(job, job.id, job.arguments["source_id"])


def _backup(job: Job) -> None:
    from_backup(job, job.arguments["source_id"])


def from_image(job: Job, volume_id: str, image_id: str) -> None:
    """Make a volume with an image's content, unless it is there. Raises GiveUp when the image is unfit."""
    row = job.runtime.database.read("volume.image", image_api.find_any, image_id)
    if row is None:
        raise GiveUp(f"Image {image_id} has been deleted.")
    try:
        with image_api.image_file(job.runtime, image_id) as data:
            path = Path(f"/proc/self/fd/{data.fileno()}")
            job.driver.create_from_image(volume_id, job.row.size, path, row.disk_format)
    except NotFound:
        raise GiveUp(f"Image {image_id} has no data: it was deleted.") from None
    except BadRequest as error:
        raise GiveUp(error.message) from error
    except ApiError as error:
        raise HostError(error.message) from error


def beside(volume_id: str) -> str:
    """The id of what is made to take a volume's place."""
    return f"{volume_id}.new"


def replace_by_image(job: Job, image_id: str) -> None:
    """The same for a volume that has a content already, which stays until the new one is whole."""
    job.driver.remove(beside(job.id))
    from_image(job, beside(job.id), image_id)
    with job.driver.read(beside(job.id)) as data:
        job.driver.restore(job.id, job.row.size, data)
    job.driver.remove(beside(job.id))


def from_backup(job: Job, backup_id: str) -> None:
    """Make or overwrite the volume with a backup. Raises GiveUp when the backup is not on this host."""
    row = job.runtime.database.read("volume.backup", finding.by_id, backup_id)
    try:
        with archive(job.runtime).open(backup_id if row is None else finding.kept_as(row)) as data:
            job.driver.restore(job.id, job.row.size, data)
    except NotFoundError:
        host = job.runtime[keys.HOST_NAME]
        raise GiveUp(f"Backup {backup_id} is not on host {host}, which has the volume.") from None


SOURCES: dict[str, Callable[[Job], Any]] = {
    "blank": _blank,
    "image": _image,
    "snapshot": _snapshot,
    "volume": _volume,
    "backup": _backup,
}
"""By the name in the task."""
