"""Keeping volumes: the Protocol that every volume driver implements.

Read `VolumeDriver` first; `drivers.py` chooses those of this host, `memory.py` is the in-memory twin.
tests/contract/test_volume_driver.py holds all to the same promises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from stackyard.host.specs import VolumeCapacity, VolumeObservation

Ability: TypeAlias = str
"""What not every driver can: live_snapshot (of a volume that is written to, as of one moment), revert, mount,
shared (every host that has this back end sees the same volumes). Asking for another one's is refused with a reason."""


class VolumeDriver(Protocol):
    """One back end of volumes on one host. Every method may be called from any thread; sizes are GiB.

    Raises `stackyard.host.errors`: HostError (may succeed later; says when the disk is full), NotFoundError,
    ConflictError (wrong state), SpecError (never possible; the text says why). Every method may be repeated: already
    done is done, and what a crash left half done is made anew. Volumes and snapshots are found again by the next
    process.
    """

    abilities: frozenset[Ability]

    def start_up(self) -> None:
        """Make what everything else needs, adopting what an earlier run left."""
        ...

    def capacity(self) -> VolumeCapacity:
        """What it has and what is free, now."""
        ...

    def create(self, volume_id: str, size: int) -> None:
        """Make an empty volume; it takes room as it is written to where the back end is thin."""
        ...

    def create_from_image(self, volume_id: str, size: int, image: Path, disk_format: str) -> None:
        """Make a volume that begins with an image's content (raw, qcow2, ...); SpecError when it does not fit."""
        ...

    def create_from_snapshot(self, volume_id: str, size: int, snapshot_id: str) -> None:
        """Make a volume that begins as a snapshot is."""
        ...

    def clone(self, volume_id: str, size: int, source_id: str) -> None:
        """Make a volume that begins as another one is at this moment."""
        ...

    def restore(self, volume_id: str, size: int, data: BinaryIO) -> None:
        """Make a volume, or overwrite one, with what is read from `data` to its end."""
        ...

    def extend(self, volume_id: str, size: int) -> None:
        """Make it larger; never smaller."""
        ...

    def remove(self, volume_id: str) -> None:
        """Delete the volume; its snapshots stay usable."""
        ...

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Keep the volume's content of this moment."""
        ...

    def remove_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; volumes made from it stay usable."""
        ...

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        """Have the volume begin again as the snapshot is; its size stays."""
        ...

    def save(self, volume_id: str, target: Path, disk_format: str) -> None:
        """Write the volume's content into the file `target` as an image of that format."""
        ...

    def read(self, volume_id: str) -> AbstractContextManager[BinaryIO]:
        """The content of a volume or a snapshot, to be read from start to end."""
        ...

    def path(self, volume_id: str) -> Path:
        """The file or block device that a machine on this host is given; NotFoundError when there is no such volume."""
        ...

    def mount(self, volume_id: str, file_system: str = "ext4", *, read_only: bool = False) -> Path:
        """Mount the file system on it for containers of this host (made if the volume is empty), and say where."""
        ...

    def unmount(self, volume_id: str) -> None:
        """Undo `mount`; everything that was written is on the volume then."""
        ...

    def inspect(self, volume_id: str) -> VolumeObservation | None:
        """A volume as it is; None when it is not here."""
        ...

    def list(self) -> Sequence[VolumeObservation]:
        """All volumes of this cloud in this back end."""
        ...

    def snapshots(self) -> Sequence[VolumeObservation]:
        """All snapshots of this cloud in this back end."""
        ...

    def purge(self) -> None:
        """Remove everything that this driver ever made, and nothing else."""
        ...

    def close(self) -> None:
        """Let go of what is open; mounts stay."""
        ...


Volumes: TypeAlias = Mapping[str, VolumeDriver]
"""The back ends of one host by their names (`file`, ...)."""
