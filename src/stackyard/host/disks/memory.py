"""The in-memory twin of volume drivers: volumes that are nothing but their first bytes, for tests."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stackyard.host.errors import HostError, NotFoundError, SpecError
from stackyard.host.specs import VolumeCapacity, VolumeObservation

GIB = 1 << 30
TOTAL = 4096 * GIB


@dataclass(slots=True)
class _Volume:
    size: int
    content: bytes = b""
    mounted: str = ""


class MemoryVolumes:
    """Keeps what it is told. `fail_next[method]` makes the next call of a method raise that error."""

    abilities = frozenset({"live_snapshot", "revert", "mount"})

    def __init__(self) -> None:
        self.volumes: dict[str, _Volume] = {}
        self.kept: dict[str, _Volume] = {}
        self.fail_next: dict[str, HostError] = {}
        self._lock = threading.RLock()

    def start_up(self) -> None:
        """There is nothing to make."""

    def capacity(self) -> VolumeCapacity:
        """A big one, less what was promised."""
        with self._lock:
            return VolumeCapacity(total=TOTAL, free=TOTAL - sum(one.size for one in self.volumes.values()) * GIB)

    def create(self, volume_id: str, size: int) -> None:
        """Make an empty volume."""
        self._add("create", volume_id, size, b"")

    def create_from_image(self, volume_id: str, size: int, image: Path, disk_format: str) -> None:
        """Make a volume that begins with the image's content, as it is."""
        del disk_format
        content = image.read_bytes()
        if len(content) > size * GIB:
            raise SpecError(f"The image has {len(content)} bytes, more than the {size} GiB of the volume.")
        self._add("create_from_image", volume_id, size, content)

    def create_from_snapshot(self, volume_id: str, size: int, snapshot_id: str) -> None:
        """Make a volume that begins as a snapshot is."""
        self._add("create_from_snapshot", volume_id, size, self._find(self.kept, snapshot_id).content)

    def clone(self, volume_id: str, size: int, source_id: str) -> None:
        """Make a volume that begins as another one is."""
        self._add("clone", volume_id, size, self._find(self.volumes, source_id).content)

    def restore(self, volume_id: str, size: int, data: BinaryIO) -> None:
        """Make or overwrite a volume with the data."""
        content = data.read()
        with self._lock:
            self._may_fail("restore")
            self.volumes[volume_id] = _Volume(size, content)

    def extend(self, volume_id: str, size: int) -> None:
        """Make it larger."""
        with self._lock:
            self._may_fail("extend")
            found = self._find(self.volumes, volume_id)
            found.size = max(found.size, size)

    def remove(self, volume_id: str) -> None:
        """Forget it."""
        with self._lock:
            self._may_fail("remove")
            self.volumes.pop(volume_id, None)

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Keep a copy."""
        with self._lock:
            self._may_fail("snapshot")
            found = self._find(self.volumes, volume_id)
            self.kept.setdefault(snapshot_id, _Volume(found.size, found.content))

    def remove_snapshot(self, snapshot_id: str) -> None:
        """Forget the copy."""
        with self._lock:
            self._may_fail("remove_snapshot")
            self.kept.pop(snapshot_id, None)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        """Put the copy back."""
        with self._lock:
            self._may_fail("revert")
            self._find(self.volumes, volume_id).content = self._find(self.kept, snapshot_id).content

    def save(self, volume_id: str, target: Path, disk_format: str) -> None:
        """Write the content as it is."""
        del disk_format
        with self._lock:
            self._may_fail("save")
            target.write_bytes(self._find(self.volumes, volume_id).content)

    @contextmanager
    def read(self, volume_id: str) -> Iterator[BinaryIO]:
        """The content of a volume or a snapshot."""
        with self._lock:
            found = self.volumes.get(volume_id) or self._find(self.kept, volume_id)
            yield io.BytesIO(found.content)

    def path(self, volume_id: str) -> Path:
        """A name; there is no such file."""
        self._find(self.volumes, volume_id)
        return Path("/nonexistent") / volume_id

    def mount(self, volume_id: str, file_system: str = "ext4", *, read_only: bool = False) -> Path:
        """Say that it is mounted."""
        del file_system, read_only
        with self._lock:
            self._may_fail("mount")
            found = self._find(self.volumes, volume_id)
            found.mounted = f"/nonexistent/mounts/{volume_id}"
            return Path(found.mounted)

    def unmount(self, volume_id: str) -> None:
        """Say that it is not."""
        with self._lock:
            self._may_fail("unmount")
            if volume_id in self.volumes:
                self.volumes[volume_id].mounted = ""

    def inspect(self, volume_id: str) -> VolumeObservation | None:
        """A volume as it is."""
        with self._lock:
            found = self.volumes.get(volume_id)
            return None if found is None else _observed(volume_id, found)

    def list(self) -> Sequence[VolumeObservation]:
        """All volumes."""
        with self._lock:
            return [_observed(*item) for item in self.volumes.items()]

    def snapshots(self) -> Sequence[VolumeObservation]:
        """All snapshots."""
        with self._lock:
            return [_observed(*item) for item in self.kept.items()]

    def purge(self) -> None:
        """Forget everything."""
        with self._lock:
            self.volumes.clear()
            self.kept.clear()

    def close(self) -> None:
        """There is nothing open."""

    def _add(self, method: str, volume_id: str, size: int, content: bytes) -> None:
        with self._lock:
            self._may_fail(method)
            self.volumes.setdefault(volume_id, _Volume(size, content))

    def _may_fail(self, method: str) -> None:
        error = self.fail_next.pop(method, None)
        if error is not None:
            raise error

    def _find(self, where: dict[str, _Volume], key: str) -> _Volume:
        with self._lock:
            found = where.get(key)
        if found is None:
            raise NotFoundError(f"There is no volume or snapshot {key}.")
        return found


def _observed(volume_id: str, found: _Volume) -> VolumeObservation:
    return VolumeObservation(id=volume_id, size=found.size * GIB, used=len(found.content), mounted=found.mounted)
