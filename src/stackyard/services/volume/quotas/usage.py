"""Counting volumes, snapshots, backups and groups: against a project's limits, and against those for their type.

Limits for a type are shown as Cinder names them (`gigabytes_<type's name>`), and kept under the type's id.
"""

from __future__ import annotations

from collections.abc import Mapping

from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, OverQuota, TooLarge
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.volume.types import finding

PREFIX = "volume."
OF_TYPES = ("volumes", "gigabytes", "snapshots")
"""What is counted for each type, too."""


def reserve(
    tx: Transaction,
    runtime: Runtime,
    project_id: str,
    volume_type_id: str | None,
    *,
    volumes: int = 0,
    snapshots: int = 0,
    gigabytes: int = 0,
) -> None:
    """Take so many (less, when negative: giving back is the same call) for a project, and for the type.

    Raises Cinder's 413s (VolumeLimitExceeded, SnapshotLimitExceeded, VolumeSizeExceedsAvailableQuota); the transaction
    must not be committed then. Snapshots count their volume's GiB as `gigabytes`.
    """
    amounts = {"volumes": volumes, "snapshots": snapshots, "gigabytes": gigabytes}
    _take(tx, runtime, project_id, amounts)
    if volume_type_id is not None:
        _take(tx, runtime, project_id, {f"{name}:{volume_type_id}": amount for name, amount in amounts.items()})


def reserve_of_type(
    tx: Transaction, runtime: Runtime, project_id: str, volume_type_id: str | None, *, volumes: int, gigabytes: int
) -> None:
    """Take so many for a type alone, of what the project has already: a volume that gets another type."""
    if volume_type_id is not None:
        amounts = {"volumes": volumes, "gigabytes": gigabytes}
        _take(tx, runtime, project_id, {f"{name}:{volume_type_id}": amount for name, amount in amounts.items()})


def reserve_backups(tx: Transaction, runtime: Runtime, project_id: str, *, backups: int, gigabytes: int) -> None:
    """Take so many backups, of so many GiB together; raises BackupLimitExceeded and the like (413)."""
    _take(tx, runtime, project_id, {"backups": backups, "backup_gigabytes": gigabytes})


def reserve_groups(tx: Transaction, runtime: Runtime, project_id: str, groups: int) -> None:
    """Take so many groups; raises GroupLimitExceeded (413)."""
    _take(tx, runtime, project_id, {"groups": groups})


def require_size(tx: Transaction, runtime: Runtime, project_id: str, size: int) -> None:
    """Raise VolumeSizeExceedsLimit (413) when one volume may not have so many GiB."""
    limit = runtime.quotas.limit(tx, project_id, f"{PREFIX}per_volume_gigabytes")
    most = runtime.settings.volume.max_size
    if most != UNLIMITED and (limit == UNLIMITED or most < limit):
        limit = most
    if limit != UNLIMITED and size > limit:
        raise TooLarge(
            f"Requested volume size {size}G is larger than maximum allowed limit {limit}G.",
            kind="VolumeSizeExceedsLimit",
        )


def _take(tx: Transaction, runtime: Runtime, project_id: str, amounts: Mapping[str, int]) -> None:
    try:
        runtime.quotas.reserve(tx, project_id, {PREFIX + name: amount for name, amount in amounts.items() if amount})
    except OverQuota as error:
        raise _refusal(tx, error) from None


def _refusal(tx: Transaction, error: OverQuota) -> ApiError:
    resource, _, type_id = error.resource.partition(":")
    name = resource if not type_id else f"{resource}_{finding.name_of(tx, type_id)}"
    if resource == "gigabytes":
        return TooLarge(
            f"Requested volume or snapshot exceeds allowed {name} quota. Requested {error.asked}G, quota is "
            f"{error.limit}G and {error.in_use}G has been consumed.",
            kind="VolumeSizeExceedsAvailableQuota",
        )
    if resource == "backup_gigabytes":
        return TooLarge(
            f"Requested backup exceeds allowed Backup gigabytes quota. Requested {error.asked}G, quota is "
            f"{error.limit}G and {error.in_use}G has been consumed.",
            kind="VolumeBackupSizeExceedsAvailableQuota",
        )
    of = f" for quota '{name}'" if resource in ("volumes", "snapshots") else ""
    return TooLarge(
        f"{_KINDS[resource]}LimitExceeded: Maximum number of {resource} allowed ({error.limit}) exceeded{of}.",
        kind=f"{_KINDS[resource]}LimitExceeded",
    )


_KINDS = {"volumes": "Volume", "snapshots": "Snapshot", "backups": "Backup", "groups": "Group"}
