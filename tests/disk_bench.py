"""Back ends of volumes to try: in memory, on the file system of the tests, on one that shares blocks between files."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Protocol

from stackyard.host.disks import VolumeDriver
from stackyard.host.disks.file import FileVolumes
from stackyard.host.disks.memory import MemoryVolumes

GIB, MIB = 1 << 30, 1 << 20


def new_id() -> str:
    """The id of a volume, snapshot or backup."""
    return str(uuid.uuid4())


def drain(path: Path, count: int) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


class Disks(Protocol):
    """A driver on trial."""

    driver: VolumeDriver

    def again(self) -> VolumeDriver:
        """As the next process has it."""
        ...

    def write(self, volume_id: str, data: bytes) -> None:
        """As what the volume is attached to writes, at the beginning."""
        ...

    def file(self, data: bytes = b"") -> Path:
        """A file outside of the back end."""
        ...

    def left(self) -> list[str]:
        """Files that the driver has made, and that are there."""
        ...

    def close(self) -> None:
        """Undo all."""
        ...


class _Files:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def file(self, data: bytes = b"") -> Path:
        """A new file."""
        path = self._directory / new_id()
        path.write_bytes(data)
        return path


class MemoryDisks(_Files):
    """The twin."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.driver = MemoryVolumes()

    def again(self) -> VolumeDriver:
        """The same: memory does not outlive its process."""
        return self.driver

    def write(self, volume_id: str, data: bytes) -> None:
        """At the beginning."""
        found = self.driver.volumes[volume_id]
        found.content = data + found.content[len(data) :]

    def left(self) -> list[str]:
        """What is kept."""
        return [*self.driver.volumes, *self.driver.kept]

    def close(self) -> None:
        """Nothing."""


class FileDisks(_Files):
    """Files in a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.pool = self._pool(directory)
        self.mounts = directory / "mounts"
        self.driver = self.again()

    def _pool(self, directory: Path) -> Path:
        return directory / "pool"

    def again(self) -> FileVolumes:
        """A driver that knows nothing but the directory."""
        self.driver = FileVolumes(self.pool, self.mounts)
        self.driver.start_up()
        return self.driver

    def write(self, volume_id: str, data: bytes) -> None:
        """At the beginning."""
        with self.driver.path(volume_id).open("r+b") as file:
            file.write(data)

    def left(self) -> list[str]:
        """Everything below the pool, and the directory of mounts."""
        there = [str(path) for path in self.pool.rglob("*")] if self.pool.exists() else []
        return there + ([str(self.mounts)] if self.mounts.exists() else [])

    def close(self) -> None:
        """Unmount and delete all."""
        self.driver.purge()


class SharingDisks(FileDisks):
    """The same on XFS, where a copy takes no time and no room."""

    def _pool(self, directory: Path) -> Path:
        self._at = mount_xfs(directory)
        return self._at / "pool"

    def close(self) -> None:
        """The file system goes as well."""
        try:
            super().close()
        finally:
            subprocess.run(["umount", "--lazy", str(self._at)], check=True)


def mount_xfs(directory: Path) -> Path:
    """A file system that can share blocks between files, of 2 GiB, mounted below the directory."""
    disk, place = directory / "xfs.raw", directory / "xfs"
    with disk.open("wb") as file:
        file.truncate(2 * GIB)
    subprocess.run(["mkfs.xfs", "-q", str(disk)], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=True)
    return place
