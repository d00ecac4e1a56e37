"""Image data as files: where it lies, how it comes in, and how to tell an upload at work from one that died.

`<state>/images/<id>` is an image's data. An upload writes `incoming/<id>.<token>` and is renamed when complete and on
disk; a staged upload goes to `staged/<id>` and waits there for its import. The writer holds a lock on its file, also
through the rename, which the kernel drops when the process dies: whoever can take the lock knows that nobody writes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackyard.core.errors import ApiError, TooLarge
from stackyard.core.runtime import Runtime
from stackyard.services.image.formats import FileSource, Inspected, Rules, inspect
from stackyard.services.keys import STATE_DIR

HASH_ALGORITHM = "sha512"
BLOCK_BYTES = 4 << 20
"""How much of an upload is hashed and written at a time, and so roughly what it takes of memory."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

hashers = ThreadPoolExecutor(4, thread_name_prefix="image-hash")
"""Hashing and writing of all uploads; hashlib and the kernel let other threads run meanwhile."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of complete data; `md5` and `sha512` in hexadecimal."""

    size: int
    md5: str
    sha512: str


def images_dir(runtime: Runtime) -> Path:
    """The folder of all image data, made when it is not there."""
    folder = runtime[STATE_DIR] / "images"
    for path in (folder, folder / "incoming", folder / "staged"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def data_path(runtime: Runtime, image_id: str) -> Path:
    """Where an image's data lies (or will)."""
    return runtime[STATE_DIR] / "images" / image_id


def staged_path(runtime: Runtime, image_id: str) -> Path:
    """Where staged data waits for its import."""
    return runtime[STATE_DIR] / "images" / "staged" / image_id


@contextmanager
def settling(runtime: Runtime) -> Iterator[None]:
    """Held while data gets its name and its image's row says so, and while files are removed by what a row says.

    Without it a reconciler that has just read "queued" could remove the data of an upload that ends meanwhile.
    """
    fd = os.open(images_dir(runtime) / ".settling", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Incoming:
    """Data on its way in. Use as a context: what was not published at its end is removed."""

    def __init__(self, runtime: Runtime, image_id: str, token: str, *, link: Path | None = None) -> None:
        """Begin an empty file, or with `link` one that is another name of that file's content."""
        self.path = images_dir(runtime) / "incoming" / f"{image_id}.{token}"
        if link is not None:
            os.link(link, self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._digests = (hashlib.md5(usedforsecurity=False), hashlib.sha512())
        self._rules = Rules.of(runtime.settings.image)
        self._published = False
        self._writing = threading.Lock()
        self.size = 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; remove it unless it was published."""
        with self._writing:  # a step may still run in its thread when its caller was cancelled
            if self._fd < 0:
                return
            if not self._published:
                self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1

    def steps(self, chunks: Sequence[bytes]) -> tuple[Callable[[], None], ...]:
        """What is to be done with the next chunks, each step in a thread of its own, all before the next call."""
        self.size += sum(map(len, chunks))

        def write() -> None:
            with self._writing:
                if self._fd >= 0:
                    _write_all(self._fd, chunks)

        def digest(index: int) -> Callable[[], None]:
            def update() -> None:
                for chunk in chunks:
                    self._digests[index].update(chunk)

            return update

        return write, digest(0), digest(1)

    def feed(self, chunks: Sequence[bytes]) -> None:
        """Take the next chunks, hashing in threads; for callers that are in a thread themselves."""
        write, *hashes = self.steps(chunks)
        futures = [hashers.submit(step) for step in hashes]
        try:
            write()
        finally:
            for future in futures:
                future.result()

    def finish(self) -> Content:
        """All has come: put it on disk and say what it is."""
        os.fdatasync(self._fd)
        return Content(self.size, self._digests[0].hexdigest(), self._digests[1].hexdigest())

    def inspect(self, disk_format: str, container_format: str) -> Inspected:
        """Check the data against the declared formats; raises FormatRefused."""
        return inspect_file(self._fd, disk_format, container_format, self._rules)

    def publish(self, target: Path) -> None:
        """Give the data its final name. The lock stays until `close`, so until what follows is written as well."""
        publish(self.path, target)
        self._published = True


def publish(path: Path, target: Path) -> None:
    """Give complete data its name, so that it is there after a power cut as well."""
    path.replace(target)
    _sync_directory(target.parent)


def inspect_file(fd: int, disk_format: str, container_format: str, rules: Rules) -> Inspected:
    """Check an open file against the declared formats; raises FormatRefused."""
    return inspect(FileSource(fd), disk_format, container_format, rules)


def is_being_written(runtime: Runtime, image_id: str, token: str) -> bool:
    """Whether a living process holds the upload `token` of an image."""
    return any(
        _locked(path)
        for path in (
            images_dir(runtime) / "incoming" / f"{image_id}.{token}",
            data_path(runtime, image_id),
            staged_path(runtime, image_id),
        )
    )


def _locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove(runtime: Runtime, image_id: str, *, data: bool, staged: bool) -> None:
    """Remove what lies here of an image: dead uploads always, its data and its staged data when asked."""
    folder = images_dir(runtime)
    doomed = [path for path in folder.glob(f"incoming/{image_id}.*") if not _locked(path)]
    doomed += [folder / image_id] if data else []
    doomed += [folder / "staged" / image_id] if staged else []
    for path in doomed:
        path.unlink(missing_ok=True)


def stray(runtime: Runtime) -> Iterator[tuple[str, Path]]:
    """Every file in the store with the id of the image that it is named for."""
    folder = images_dir(runtime)
    for path in (*folder.iterdir(), *(folder / "incoming").iterdir(), *(folder / "staged").iterdir()):
        if path.is_file() and not path.name.startswith("."):
            yield path.name.partition(".")[0], path


def take_file(runtime: Runtime, image_id: str, token: str, source: Path) -> Incoming:
    """Bring a local file in: as another name of the same content where that is possible, else as a copy."""
    try:
        return Incoming(runtime, image_id, token, link=source)
    except OSError:
        incoming = Incoming(runtime, image_id, token)
    try:
        with source.open("rb") as file:
            feed_all(incoming, iter(lambda: file.read(BLOCK_BYTES), b""))
        incoming.finish()
    except BaseException:
        incoming.close()
        raise
    return incoming


def digest_file(path: Path) -> Content:
    """A file's size and digests."""
    digests = (hashlib.md5(usedforsecurity=False), hashlib.sha512())
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            futures = [hashers.submit(digest.update, block) for digest in digests]
            for future in futures:
                future.result()
            size += len(block)
    return Content(size, digests[0].hexdigest(), digests[1].hexdigest())


def feed_all(incoming: Incoming, chunks: Iterable[bytes]) -> None:
    """Take everything, in blocks of at least BLOCK_BYTES."""
    block: list[bytes] = []
    held = 0
    for chunk in chunks:
        block.append(chunk)
        held += len(chunk)
        if held >= BLOCK_BYTES:
            incoming.feed(block)
            block, held = [], 0
    if block:
        incoming.feed(block)


def storage_fault(error: OSError, folder: Path) -> ApiError | None:
    """What a client is told of a file system that takes no more; None for any other error."""
    if error.errno not in _FULL:
        return None
    free = shutil.disk_usage(folder).free
    return TooLarge(
        f"Image storage media is full: {error.strerror} ({free >> 20} MiB free). "
        "Delete images, or ask the operator for more space; the image is queued and the upload may be tried again.",
        kind="StorageFull",
    )


def _write_all(fd: int, chunks: Sequence[bytes]) -> None:
    for start in range(0, len(chunks), 512):  # writev takes at most IOV_MAX (1024) buffers
        views = [memoryview(chunk) for chunk in chunks[start : start + 512] if chunk]
        while views:
            written = os.writev(fd, views)
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views and written:
                views[0] = views[0][written:]


def _sync_directory(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
