"""A store of files: an image's data is the file named for its id in one folder.

Data comes in as another name of a file on the same file system, or as a copy that leaves runs of zeroes out.
"""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

from stackyard.services.image.stores import DataMissing, StoreInfo

_COPY_BYTES = 64 << 20
_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EACCES})


class FileSource:
    """An open file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size: int | None = os.fstat(self._fd).st_size
        self._using = threading.Lock()  # a reader that was given up may still be at it when this is closed

    def read(self, position: int, length: int) -> bytes:
        """Part of the file."""
        with self._using:
            return os.pread(self._fd, length, position) if self._fd >= 0 else b""

    def file(self) -> BinaryIO:
        """The same file, opened for whoever wants more than to read parts."""
        return os.fdopen(os.dup(self._fd), "rb")

    def close(self) -> None:
        """Close the file."""
        with self._using:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class FileStore:
    """Files in `folder`, with those on their way in below `incoming/`."""

    def __init__(self, info: StoreInfo, folder: Path) -> None:
        self.info = info
        self.folder = folder

    def ensure(self) -> None:
        """Make the folders that are not there."""
        for path in (self.folder, self.incoming):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def incoming(self) -> Path:
        """Where data waits that is not whole yet, on the file system of the rest."""
        return self.folder / "incoming"

    def path(self, image_id: str) -> Path:
        """Where an image's data lies (or will)."""
        return self.folder / image_id

    def _prepared(self, image_id: str, key: str) -> Path:
        return self.incoming / f"{image_id}.{key}-put"

    def prepare(self, image_id: str, key: str, path: Path) -> None:
        """Link the file in, or copy it."""
        self.ensure()
        prepared = self._prepared(image_id, key)
        prepared.unlink(missing_ok=True)
        try:
            os.link(path, prepared)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            try:
                copy_sparse(path, prepared)
            except BaseException:
                prepared.unlink(missing_ok=True)
                raise

    def commit(self, image_id: str, key: str) -> None:
        """Give the file its name, so that it is there after a power cut as well."""
        prepared = self._prepared(image_id, key)
        try:
            prepared.replace(self.path(image_id))
        except FileNotFoundError:
            if not self.path(image_id).exists():
                raise
        prepared.unlink(missing_ok=True)  # renaming one name of a file onto another does nothing
        sync_directory(self.folder)

    def open(self, image_id: str, key: str) -> FileSource:
        """The file."""
        del key
        try:
            return FileSource(self.path(image_id))
        except FileNotFoundError:
            raise DataMissing(f"The data of image {image_id} is not in the store {self.info.id} any more.") from None

    def remove(self, image_id: str, key: str) -> None:
        """Unlink the file."""
        self._prepared(image_id, key).unlink(missing_ok=True)
        self.path(image_id).unlink(missing_ok=True)

    def url(self, image_id: str, key: str) -> str:
        """The file's address on this host."""
        del key
        return self.path(image_id).absolute().as_uri()

    def properties(self) -> dict[str, Any]:
        """The folder."""
        return {"data_dir": str(self.folder), "chunk_size": 65536, "thin_provisioning": True}


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file to a new one, holes as holes, and have it on disk. The kernel copies, sharing blocks if possible."""
    with source.open("rb") as reader, target.open("xb") as writer:
        read_fd, write_fd = reader.fileno(), writer.fileno()
        size = os.fstat(read_fd).st_size
        os.ftruncate(write_fd, size)
        position = 0
        while position < size:
            try:
                start = os.lseek(read_fd, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break  # nothing but a hole is left
                raise
            end = os.lseek(read_fd, start, os.SEEK_HOLE)
            _copy_part(read_fd, write_fd, start, end)
            position = end
        os.fdatasync(write_fd)


def _copy_part(read_fd: int, write_fd: int, start: int, end: int) -> None:
    while start < end:
        wanted = min(_COPY_BYTES, end - start)
        try:
            copied = os.copy_file_range(read_fd, write_fd, wanted, start, start)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            copied = os.pwrite(write_fd, os.pread(read_fd, min(wanted, 4 << 20), start), start)
        if copied == 0:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        start += copied


def sync_directory(folder: Path) -> None:
    """Have a folder's names on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
