"""The tasks of volumes; `tasks.py` of the service has the table of their arguments and of what each leads to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome
from stackyard.host.errors import SpecError
from stackyard.services import keys
from stackyard.services.volume import statuses
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.reconcile import contents, managing
from stackyard.services.volume.reconcile.job import BACKUP, SNAPSHOT, Job, Told
from stackyard.services.volume.reconcile.moving import migrate, migrate_failed, retype, retype_failed
from stackyard.services.volume.reconcile.runner import Failure, Task
from stackyard.services.volume.reconcile.uploading import upload, upload_failed
from stackyard.services.volume.tables import attachments, snapshots, volumes
from stackyard.services.volume.volumes import removal

WAIT_SECONDS = 0.2

_SNAPSHOTS = sa.select(snapshots.c.id).where(snapshots.c.volume_id == bindparam("volume"))
_COPIES = sa.select(volumes.c.id).where(
    volumes.c.source_volid == bindparam("volume"), volumes.c.status == statuses.CREATING
)
_SERVERS = sa.select(attachments.c.instance_id).where(
    attachments.c.volume_id == bindparam("volume"),
    attachments.c.attach_status == statuses.ATTACHED,
    attachments.c.instance_id.is_not(None),
)


def create(job: Job) -> Outcome:
    """Make it, with the content of what it is made from."""
    contents.SOURCES[job.arguments["source"]](job)

    def made(tx: Transaction, now: Any) -> dict[str, Any]:
        _settle_backup(tx, job)
        return {"status": statuses.AVAILABLE, "launched_at": tx.now, "fault": None, **_old_name(tx, job, now)}

    job.finish(made)
    return DONE


def _old_name(tx: Transaction, job: Job, now: Any) -> dict[str, Any]:
    """One that was restored from a backup is called as the volume that was backed up, unless it was given a name."""
    if job.arguments["source"] != "backup" or now.name != f"restore_backup_{job.arguments['source_id']}":
        return {}
    backup = BACKUP.read(tx, job.arguments["source_id"])
    kept = {} if backup is None else backup.volume
    return {name: kept[name] for name in ("name", "description") if name in kept}


def create_failed(job: Job, reason: str) -> None:
    """What there is of it goes when it is deleted."""

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        _settle_backup(tx, job)
        return {"status": statuses.ERROR, "fault": reason}

    image = job.arguments.get("source") == "image"
    fits = "GiB of the volume" not in reason
    job.fail(reason, write, Told("005", "001" if fits else "007") if image else Told("008", "012"))


def _settle_backup(tx: Transaction, job: Job) -> None:
    """A backup that the volume is made from may be used by others again."""
    if job.arguments.get("source") == "backup":
        _available_again(tx, job.arguments["source_id"])


def _available_again(tx: Transaction, backup_id: str) -> None:
    backup = BACKUP.read(tx, backup_id)
    if backup is not None and backup.status == statuses.RESTORING:
        BACKUP.update(tx, backup_id, status=statuses.AVAILABLE)


def delete(job: Job) -> Outcome:
    """Remove it, once nothing is copied from it any more, and (asked to delete them too) its snapshots are gone."""
    if job.runtime.database.read("volume.needed", _is_needed, job):
        return Again(WAIT_SECONDS)
    driver = job.driver
    driver.unmount(job.id)
    driver.remove(job.id)
    driver.remove(contents.beside(job.id))
    job.gone(lambda tx, now: removal.forget(tx, job.runtime, now))
    return DONE


def _is_needed(tx: Transaction, job: Job) -> bool:
    if tx.first(_COPIES, {"volume": job.id}) is not None:
        return True
    return bool(job.arguments.get("cascade")) and tx.first(_SNAPSHOTS, {"volume": job.id}) is not None


def delete_failed(job: Job, reason: str) -> None:
    """It stays, and may be deleted again."""
    job.fail(reason, lambda _tx, _now: {"status": statuses.ERROR_DELETING, "fault": reason}, Told("008", "001"))


def extend(job: Job) -> Outcome:
    """Make it larger, and tell the servers that have it attached."""
    size = int(job.arguments["size"])
    job.driver.extend(job.id, size)

    def extended(tx: Transaction, _now: Any) -> dict[str, Any]:
        if keys.VOLUME_EVENTS in job.runtime:
            for row in tx.all(_SERVERS, {"volume": job.id}):
                job.runtime[keys.VOLUME_EVENTS](tx, row.instance_id, "volume-extended", job.id)
        return {"size": size, "status": job.arguments["status"], "fault": None}

    job.finish(extended)
    return DONE


def extend_failed(job: Job, reason: str) -> None:
    """It keeps its size, and what was taken of the quota is given back."""

    def write(tx: Transaction, now: Any) -> dict[str, Any]:
        if now.use_quota:
            less = now.size - int(job.arguments["size"])
            usage.reserve(tx, job.runtime, now.project_id, now.volume_type_id, gigabytes=less)
        return {"status": statuses.ERROR_EXTENDING, "fault": reason}

    job.fail(reason, write, Told("007", "010"))


def revert(job: Job) -> Outcome:
    """Have it begin again as its snapshot is."""
    if "revert" not in job.driver.abilities:
        raise SpecError(f"The back end {job.row.backend} cannot take a volume back to a snapshot.")
    job.driver.revert(job.id, job.arguments["snapshot_id"])

    def reverted(tx: Transaction, _now: Any) -> dict[str, Any]:
        _settle_snapshot(tx, job)
        return {"status": job.arguments["status"], "fault": None}

    job.finish(reverted)
    return DONE


def revert_failed(job: Job, reason: str) -> None:
    """It may be anything by now; the snapshot is as it was."""

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        _settle_snapshot(tx, job)
        return {"status": statuses.ERROR, "fault": reason}

    job.fail(reason, write, Told("008", "001"))


def _settle_snapshot(tx: Transaction, job: Job) -> None:
    SNAPSHOT.update(tx, job.arguments["snapshot_id"], status=statuses.AVAILABLE)


def reimage(job: Job) -> Outcome:
    """Have it begin again as an image is; what was on it stays until all of the image has come."""
    contents.replace_by_image(job, job.arguments["image_id"])
    job.finish(lambda _tx, _now: {"status": job.arguments["status"], "fault": None})
    return DONE


def reimage_failed(job: Job, reason: str) -> None:
    """It has its old content, and its status says that this is not what was asked for."""
    job.fail(reason, lambda _tx, _now: {"status": statuses.ERROR, "fault": reason}, Told("016", "001"))


def restore(job: Job) -> Outcome:
    """Have it begin as a backup is."""
    contents.from_backup(job, job.arguments["backup_id"])

    def restored(tx: Transaction, now: Any) -> dict[str, Any]:
        backup_id = job.arguments["backup_id"]
        backup = BACKUP.read(tx, backup_id)
        _available_again(tx, backup_id)
        columns: dict[str, Any] = {"status": statuses.AVAILABLE, "fault": None}
        if backup is not None and backup.volume_id != job.id:
            columns["metadata"] = {**now.metadata, "src_backup_id": backup_id}
        return columns

    job.finish(restored)
    return DONE


def restore_failed(job: Job, reason: str) -> None:
    """The backup is as it was."""

    def write(tx: Transaction, _now: Any) -> dict[str, Any]:
        _available_again(tx, job.arguments["backup_id"])
        return {"status": statuses.ERROR_RESTORING, "fault": reason}

    job.fail(reason, write, Told("015", "026"))


def failed(job: Job, reason: str) -> None:
    """Of a task that has no other way to fail."""
    job.fail(reason, lambda _tx, _now: {"status": statuses.ERROR, "fault": reason}, Told("008", "001"))


TASKS: dict[str, Task] = {
    "create": create, "delete": delete, "extend": extend, "upload": upload, "retype": retype, "migrate": migrate,
    "revert": revert, "reimage": reimage, "restore": restore, "manage": managing.manage,
}  # fmt: skip
FAILURES: dict[str, Failure] = {
    "create": create_failed, "delete": delete_failed, "extend": extend_failed, "upload": upload_failed,
    "retype": retype_failed, "migrate": migrate_failed, "revert": revert_failed, "reimage": reimage_failed,
    "restore": restore_failed, "manage": managing.manage_failed,
}  # fmt: skip
