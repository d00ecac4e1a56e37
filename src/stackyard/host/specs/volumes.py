"""Volumes, as one host keeps them: blocks of storage that outlive what they are attached to."""

from __future__ import annotations

from stackyard.host.specs.base import Spec


class VolumeObservation(Spec, frozen=True):
    """A volume or a snapshot that is there. `size` and `used` (what it takes on the host now) are bytes.

    `mounted` is where the file system on it is mounted for containers, empty when it is not.
    """

    id: str
    size: int
    used: int = 0
    mounted: str = ""


class VolumeCapacity(Spec, frozen=True):
    """What a back end has, in bytes. `protocol` is how its volumes are reached (file, block)."""

    total: int
    free: int
    protocol: str = "file"
    thin: bool = True
