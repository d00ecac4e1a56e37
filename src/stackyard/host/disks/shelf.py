"""Directories of files that are whole or not there: written beside under another name, then renamed.

Files belong to root; the confined image tool's group may read them, and the directory keeps everybody else out.
Machines get them as descriptors that root has opened.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from stackyard.host.disks import copying
from stackyard.host.errors import HostError, NotFoundError, SpecError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MODE = 0o640


class Fresh:
    """A file that is being written: nobody finds it before `settle`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor


class Shelf:
    """Volumes and snapshots below `directory`, what is being written there too; readable by `group`."""

    def __init__(self, directory: Path, group: int) -> None:
        self.directory = directory
        self._group = group
        self._work = directory / "work"

    def make(self, *kinds: str) -> None:
        """Make the directories; what no living process writes any more is deleted."""
        for name in ("work", *kinds):
            (self.directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.directory / name).chmod(0o700)
        for left in self._work.iterdir():
            if _is_abandoned(left):
                left.unlink(missing_ok=True)

    def path(self, kind: str, key: str) -> Path:
        """Where a file is, or would be."""
        if not _ID.fullmatch(key):
            raise SpecError("an id of a volume or snapshot has letters, digits, dots and dashes only")
        return self.directory / kind / key

    def find(self, kind: str, key: str) -> Path:
        """The same of one that is there. Raises NotFoundError."""
        found = self.path(kind, key)
        if not found.exists():
            raise NotFoundError(f"There is no volume or snapshot {key}.")
        return found

    def keys(self, kind: str) -> list[str]:
        """All that are there."""
        try:
            return sorted(found.name for found in (self.directory / kind).iterdir() if _ID.fullmatch(found.name))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Fresh]:
        """A new file to write; it is gone at the end of the block unless it was settled."""
        path = self._work / os.urandom(12).hex()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Fresh(path, descriptor)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)

    def settle(self, fresh: Fresh, target: Path, size: int) -> None:
        """Give a new file its size in bytes and its name: it is on the disk then, whatever happens."""
        os.ftruncate(fresh.descriptor, size)
        with contextlib.suppress(PermissionError):  # a network file system that lets nobody be root
            os.fchown(fresh.descriptor, 0, self._group)
            os.fchmod(fresh.descriptor, _MODE)
        os.fsync(fresh.descriptor)
        fresh.path.rename(target)
        sync_directory(target.parent)

    def drop(self, path: Path) -> None:
        """Delete a file; gone is fine."""
        path.unlink(missing_ok=True)
        sync_directory(path.parent)

    def shares_blocks(self) -> bool:
        """Whether copies cost neither time nor room here (reflinks)."""
        with self.fresh() as source, self.fresh() as target:
            os.pwrite(source.descriptor, b"reflink", 0)
            return copying.clone(source.descriptor, target.descriptor)

    def remove(self, *kinds: str) -> None:
        """Delete everything that was made, and the directory if nothing else is in it."""
        for name in ("work", *kinds):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()


def _is_abandoned(path: Path) -> bool:
    """Whether its writer is gone: it held a lock on the file for as long as it lived."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def sync_directory(path: Path) -> None:
    """Have the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what the file system refuses into HostError, in words that users may read: without this host's paths."""
    try:
        yield
    except OSError as error:
        raise explained(error) from error


def explained(error: OSError) -> HostError:
    """An error of the file system in words: that it is full, and what helps."""
    if error.errno in _FULL:
        return full()
    return HostError(f"The back end of volumes fails: {error.strerror or type(error).__name__}.")


def full() -> HostError:
    """There is no room."""
    return HostError("The disk that keeps volumes is full: delete volumes, or give it more room.")
