"""Volumes as files: raw, sparse, in one directory.

Where the file system shares blocks between files (XFS, Btrfs) a snapshot takes no time and is of one moment; elsewhere
it is a copy of what was ever written, and one of a volume that a machine writes to meanwhile may be of several moments.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from stackyard.host import image_tool, namespaces
from stackyard.host.disks import converting, copying, mounts
from stackyard.host.disks.shelf import Fresh, Shelf, told
from stackyard.host.errors import ConflictError, HostError, SpecError
from stackyard.host.specs import VolumeCapacity, VolumeObservation

log = logging.getLogger("stackyard.volume")

GIB = 1 << 30
VOLUMES, SNAPSHOTS, FORMATTING = "volumes", "snapshots", "formatting"

Write = Callable[[Fresh], object]


class FileVolumes:
    """A `VolumeDriver`. Everything it makes is in `directory`, mounts apart, which are in `mounts_directory`."""

    def __init__(self, directory: Path, mounts_directory: Path, *, shared: bool = False) -> None:
        self.abilities = frozenset({"revert", "mount", *(["shared"] if shared else [])})
        self._group = image_tool.reader()
        self._shelf = Shelf(directory, self._group)
        self._mounts = mounts_directory.resolve()  # as the kernel tells of mounts
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._guard = threading.Lock()

    def start_up(self) -> None:
        """Make the directories, drop what is half written, let go on whom a killed process held."""
        with told():
            self._shelf.make(VOLUMES, SNAPSHOTS, FORMATTING)
            if self._shelf.shares_blocks():
                self.abilities |= {"live_snapshot"}
            self._mounts.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place, _ in mounts.mounted(self._mounts).values():
            mounts.thaw(place)
        with contextlib.suppress(OSError):  # where it may not, containers cannot have volumes, and are told so
            namespaces.share_mounts(self._mounts)

    def capacity(self) -> VolumeCapacity:
        """What the file system has."""
        with told():
            found = os.statvfs(self._shelf.directory)
        return VolumeCapacity(total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize)

    # ------------------------------------------------------------------------------------------------ new volumes

    def create(self, volume_id: str, size: int) -> None:
        """An empty file."""
        self._make(volume_id, size, lambda _fresh: None)

    def create_from_image(self, volume_id: str, size: int, image: Path, disk_format: str) -> None:
        """Converted by the confined tool, or copied when it is a disk's content already."""
        self._make(volume_id, size, lambda fresh: converting.from_image(self._shelf, fresh, image, disk_format, size))

    def create_from_snapshot(self, volume_id: str, size: int, snapshot_id: str) -> None:
        """A copy."""
        source = self._shelf.find(SNAPSHOTS, snapshot_id)
        self._make(volume_id, size, lambda fresh: _copy(source, fresh))

    def clone(self, volume_id: str, size: int, source_id: str) -> None:
        """A copy, of one moment if that can be."""
        source = self._shelf.find(VOLUMES, source_id)

        def write(fresh: Fresh) -> None:
            with self._still(source_id):
                _copy(source, fresh)

        self._make(volume_id, size, write)

    def restore(self, volume_id: str, size: int, data: BinaryIO) -> None:
        """A new file takes the place of the old one when all data has come."""

        def write(fresh: Fresh) -> None:
            try:
                copying.pour(data, fresh.descriptor, size * GIB)
            except ValueError as error:
                raise SpecError(f"The data does not fit into {size} GiB: {error}.") from error

        self._make(volume_id, size, write, replace=True)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        """A copy of the snapshot takes the place of the volume's file."""
        source = self._shelf.find(SNAPSHOTS, snapshot_id)
        size = self._shelf.find(VOLUMES, volume_id).stat().st_size
        self._make(volume_id, size // GIB, lambda fresh: _copy(source, fresh), replace=True)

    def _make(self, volume_id: str, size: int, write: Write, *, replace: bool = False) -> None:
        target = self._shelf.path(VOLUMES, volume_id)
        with self._lock(volume_id), told():
            if target.exists() and not replace:
                return
            if replace and volume_id in mounts.mounted(self._mounts):
                raise ConflictError(f"Volume {volume_id} is mounted: what is on it cannot be replaced now.")
            with self._shelf.fresh() as fresh:
                write(fresh)
                if os.fstat(fresh.descriptor).st_size > size * GIB:
                    raise SpecError(f"What it is made from does not fit into the {size} GiB of the volume.")
                self._shelf.settle(fresh, target, size * GIB)

    # ---------------------------------------------------------------------------------------------------- volumes

    def extend(self, volume_id: str, size: int) -> None:
        """A longer file. A mounted file system grows now where the kernel lets us, else when it is mounted again."""
        with self._lock(volume_id), told():
            path = self._shelf.find(VOLUMES, volume_id)
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_size < size * GIB:
                    os.ftruncate(descriptor, size * GIB)
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            mounted = mounts.mounted(self._mounts).get(volume_id)
            kind = mounts.kind_of(path) if mounted is not None else None
            if mounted is not None and kind is not None:
                try:
                    mounts.grow(*mounted, kind)
                except HostError as error:
                    told_of = {"id": volume_id, "reason": str(error)}
                    log.warning("a mounted file system grows when it is mounted again", extra=told_of)

    def remove(self, volume_id: str) -> None:
        """Delete the file."""
        with self._lock(volume_id), told():
            self.unmount(volume_id)
            self._shelf.drop(self._shelf.path(VOLUMES, volume_id))
            self._marker(volume_id).unlink(missing_ok=True)
        with self._guard:
            self._locks.pop(volume_id, None)

    def save(self, volume_id: str, target: Path, disk_format: str) -> None:
        """By the confined tool, from a copy if copies cost nothing."""
        with told(), self._content(volume_id) as descriptor:
            converting.to_image(descriptor, target, disk_format)

    @contextlib.contextmanager
    def read(self, volume_id: str) -> Iterator[BinaryIO]:
        """The file of the volume or snapshot, or a copy if copies cost nothing."""
        with self._content(volume_id) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            yield file

    @contextlib.contextmanager
    def _content(self, key: str) -> Iterator[int]:
        """A descriptor of the content of one moment, if that can be."""
        path = self._shelf.path(VOLUMES, key)
        is_volume = path.exists()
        if not is_volume:
            path = self._shelf.find(SNAPSHOTS, key)
        with image_tool.opened(path) as descriptor:
            if is_volume and "live_snapshot" in self.abilities:
                with self._shelf.fresh() as fresh:
                    with self._still(key):
                        copying.copy(descriptor, fresh.descriptor)
                    os.fchown(fresh.descriptor, 0, self._group)
                    os.fchmod(fresh.descriptor, 0o640)
                    yield fresh.descriptor
                return
            place, _ = mounts.mounted(self._mounts).get(key, (None, "")) if is_volume else (None, "")
            if place is not None:
                mounts.flush(place)
            yield descriptor

    def path(self, volume_id: str) -> Path:
        """The file; only root can open it."""
        return self._shelf.find(VOLUMES, volume_id)

    def inspect(self, volume_id: str) -> VolumeObservation | None:
        """What the file system says."""
        return self._observed(VOLUMES, volume_id, mounts.mounted(self._mounts))

    def list(self) -> Sequence[VolumeObservation]:
        """All files."""
        mounted = mounts.mounted(self._mounts)
        found = [self._observed(VOLUMES, key, mounted) for key in self._shelf.keys(VOLUMES)]
        return [one for one in found if one is not None]

    def _observed(self, kind: str, key: str, mounted: dict[str, tuple[Path, str]]) -> VolumeObservation | None:
        try:
            found = self._shelf.path(kind, key).stat()
        except FileNotFoundError:
            return None
        place = str(mounted[key][0]) if key in mounted else ""
        return VolumeObservation(id=key, size=found.st_size, used=found.st_blocks * 512, mounted=place)

    # -------------------------------------------------------------------------------------------------- snapshots

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """A copy under another name."""
        target = self._shelf.path(SNAPSHOTS, snapshot_id)
        with self._lock(snapshot_id), told():
            if target.exists():
                return
            source = self._shelf.find(VOLUMES, volume_id)
            with self._shelf.fresh() as fresh:
                with self._still(volume_id):
                    _copy(source, fresh)
                self._shelf.settle(fresh, target, os.fstat(fresh.descriptor).st_size)

    def remove_snapshot(self, snapshot_id: str) -> None:
        """Delete the copy."""
        with told():
            self._shelf.drop(self._shelf.path(SNAPSHOTS, snapshot_id))

    def snapshots(self) -> Sequence[VolumeObservation]:
        """All copies."""
        found = [self._observed(SNAPSHOTS, key, {}) for key in self._shelf.keys(SNAPSHOTS)]
        return [one for one in found if one is not None]

    @contextlib.contextmanager
    def _still(self, volume_id: str) -> Iterator[None]:
        """While the block runs, containers that write to the volume wait."""
        place, _ = mounts.mounted(self._mounts).get(volume_id, (None, ""))
        if place is None:
            yield
            return
        with mounts.frozen(place):
            yield

    # ----------------------------------------------------------------------------------------------------- mounts

    def mount(self, volume_id: str, file_system: str = "ext4", *, read_only: bool = False) -> Path:
        """By a loop device; one that is mounted already stays as it is."""
        with self._lock(volume_id), told():
            path = self._shelf.find(VOLUMES, volume_id)
            found = mounts.mounted(self._mounts).get(volume_id)
            if found is not None:
                return found[0]
            kind = self._formatted(volume_id, path, file_system)
            place = self._mounts / volume_id
            if mounts.is_smaller(path, kind):
                mounts.grow_unmounted(path)
            mounts.mount(path, place, kind, read_only=read_only)
            return place

    def _formatted(self, volume_id: str, path: Path, file_system: str) -> str:
        """The kind of the file system on a volume, which is made if there is nothing on it."""
        marker = self._marker(volume_id)
        kind = mounts.kind_of(path)
        if kind is None or marker.exists():
            marker.touch(mode=0o600)  # until it is done: what is there now may be the half of a file system
            mounts.make(path, file_system)
            place = self._mounts / volume_id
            mounts.mount(path, place, file_system, read_only=False)
            with contextlib.suppress(OSError):  # databases want an empty directory to begin with
                (place / "lost+found").rmdir()
            mounts.unmount(place)
            marker.unlink()
            return file_system
        if kind == "data":
            raise SpecError(f"Volume {volume_id} has data but no file system that can be mounted (ext4, xfs, btrfs).")
        return kind

    def _marker(self, volume_id: str) -> Path:
        return self._shelf.path(FORMATTING, volume_id)

    def unmount(self, volume_id: str) -> None:
        """Write everything out and unmount."""
        with self._lock(volume_id), told():
            found = mounts.mounted(self._mounts).get(volume_id)
            if found is not None:
                mounts.unmount(found[0])

    # ------------------------------------------------------------------------------------------------------- ends

    def purge(self) -> None:
        """Unmount and delete everything."""
        for place, _ in mounts.mounted(self._mounts).values():
            mounts.unmount(place)
        if mounts.is_mount(self._mounts):
            mounts.unmount(self._mounts)
        with contextlib.suppress(OSError):
            self._mounts.rmdir()
        self._shelf.remove(VOLUMES, SNAPSHOTS, FORMATTING)

    def close(self) -> None:
        """Nothing is kept open."""

    def _lock(self, key: str) -> threading.RLock:
        with self._guard:
            return self._locks[key]


def _copy(source: Path, fresh: Fresh) -> None:
    with image_tool.opened(source) as descriptor:
        copying.copy(descriptor, fresh.descriptor)
