"""This host's back ends of volumes, by name."""

from __future__ import annotations

from pathlib import Path

from stackyard.core.config import Settings
from stackyard.host.disks import VolumeDriver, Volumes

DIRECTORY = "volumes"
"""In the state directory."""


def volume_drivers(state_dir: Path, settings: Settings) -> Volumes:
    """Those that can work here; nothing is started yet."""
    del state_dir, settings
    found: dict[str, VolumeDriver] = {}
    return found
