"""This host's back ends of volumes by name, its backups, and where they are."""

from __future__ import annotations

from pathlib import Path

from stackyard.core.config import Settings
from stackyard.host.disks import VolumeDriver, Volumes
from stackyard.host.disks.archive import Archive
from stackyard.host.disks.file import FileVolumes

DIRECTORY = "volumes"
"""In the state directory."""

BACKUPS = "volumes-backups"
"""There too, unless every host sees the same volumes: then beside those."""


def place_of(state_dir: Path, settings: Settings) -> Path:
    """The directory that volumes are kept in."""
    return Path(settings.volume.pool) if settings.volume.pool else state_dir / DIRECTORY


def volume_drivers(state_dir: Path, settings: Settings) -> Volumes:
    """Those that can work here; nothing is started yet."""
    mounts = state_dir / DIRECTORY / "mounts"
    found: dict[str, VolumeDriver] = {
        "file": FileVolumes(place_of(state_dir, settings), mounts, shared=settings.volume.shared)
    }
    return found


def archive_of(state_dir: Path, settings: Settings) -> Archive:
    """The backups that this host keeps, or all hosts together."""
    shared = settings.volume.shared and settings.volume.pool
    return Archive(Path(settings.volume.pool) / "backups" if shared else state_dir / BACKUPS)


def kept_in(state_dir: Path, settings: Settings) -> dict[str, set[str]]:
    """The ids of all that is kept: volume, volume snapshot, backup."""
    drivers = volume_drivers(state_dir, settings).values()
    return {
        "volume": {one.id for driver in drivers for one in driver.list()},
        "volume snapshot": {one.id for driver in drivers for one in driver.snapshots()},
        "backup": set(archive_of(state_dir, settings).backups()),
    }


def remove_volumes(state_dir: Path, settings: Settings) -> None:
    """Delete every volume, snapshot and backup of the cloud, the volumes' mounts first."""
    archive_of(state_dir, settings).purge()
    for driver in volume_drivers(state_dir, settings).values():
        driver.purge()
