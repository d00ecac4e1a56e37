"""This host's back ends of volumes, by name."""

from __future__ import annotations

from pathlib import Path

from stackyard.core.config import Settings
from stackyard.host.disks import VolumeDriver, Volumes
from stackyard.host.disks.file import FileVolumes

DIRECTORY = "volumes"
"""In the state directory."""


def volume_drivers(state_dir: Path, settings: Settings) -> Volumes:
    """Those that can work here; nothing is started yet."""
    chosen = settings.volume
    own = state_dir / DIRECTORY
    found: dict[str, VolumeDriver] = {}
    found["file"] = FileVolumes(Path(chosen.pool) if chosen.pool else own, own / "mounts", shared=chosen.shared)
    return found


def remove_volumes(state_dir: Path, settings: Settings) -> None:
    """Delete every volume and snapshot of the cloud, their mounts first."""
    for driver in volume_drivers(state_dir, settings).values():
        driver.purge()
