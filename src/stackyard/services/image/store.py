"""Image data on its way in: where it waits, how it is digested, and how to tell an upload at work from one that died.

An upload writes `incoming/<id>.<token>` and, when it is complete and on disk, is given to its store (`stores/`), which
links it in where it can; a staged upload goes to `staged/<id>` and waits there for its import. The writer holds a lock
on its file until all is written down, which the kernel drops when the process dies: whoever can take the lock knows
that nobody writes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackyard.core.errors import ApiError, TooLarge
from stackyard.core.runtime import Runtime
from stackyard.services.image.formats import FileSource, Inspected, Rules, inspect
from stackyard.services.image.stores.files import FileStore, sync_directory
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.keys import STATE_DIR

HASH_ALGORITHM = "sha512"
BLOCK_BYTES = 4 << 20
"""How much of an upload is hashed and written at a time, and so roughly what it takes of memory."""

_LEAST_HOLE = 4096
_LARGEST_PIECE = 64 << 10
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


def staged_path(runtime: Runtime, image_id: str, task_id: str | None = None) -> Path:
    """Where data waits for its import: what a client has staged, or what a task has fetched."""
    return images_dir(runtime) / "staged" / (image_id if task_id is None else f"{image_id}.{task_id}")


def incoming_dirs(runtime: Runtime) -> list[Path]:
    """Every folder that uploads write to: each store of files has one on its own file system."""
    own = images_dir(runtime) / "incoming"
    return [own, *(files.incoming for files in stores_of(runtime).file_stores if files.incoming != own)]


def incoming_dir(runtime: Runtime, store_id: str | None = None) -> Path:
    """Where data for a store is to be written first; for none, where data is that is to be staged."""
    target = stores_of(runtime).written.get(store_id or "")
    if not isinstance(target, FileStore):
        return images_dir(runtime) / "incoming"
    target.ensure()
    return target.incoming


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
    """Data on its way in. Use as a context: at its end the file is removed; whoever keeps the data has linked it."""

    def __init__(self, runtime: Runtime, image_id: str, token: str, folder: Path, *, link: Path | None = None) -> None:
        """Begin an empty file in `folder`, or with `link` one that is another name of that file's content."""
        self.path = folder / f"{image_id}.{token}"
        if link is not None:
            os.link(link, self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._digests = (hashlib.md5(usedforsecurity=False), hashlib.sha512())
        self._rules = Rules.of(runtime.settings.image)
        self._limit = runtime.settings.image.size_limit
        self._writing = threading.Lock()
        self.size = 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and remove it."""
        with self._writing:  # a step may still run in its thread when its caller was cancelled
            if self._fd < 0:
                return
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1

    def steps(self, chunks: Sequence[bytes]) -> tuple[Callable[[], None], ...]:
        """What is to be done with the next chunks, each step in a thread of its own, all before the next call.

        Raises TooLarge when they are more than an image may have.
        """
        self.size += sum(map(len, chunks))
        if self.size > self._limit:
            raise TooLarge(
                f"The image has more than {self._limit} bytes, the most that one may have here.", kind="ImageSizeLimit"
            )

        def write() -> None:
            with self._writing:
                if self._fd >= 0:
                    write_sparse(self._fd, chunks)

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
        if os.fstat(self._fd).st_size != self.size:  # it ends in a hole
            os.ftruncate(self._fd, self.size)
        os.fdatasync(self._fd)
        return Content(self.size, self._digests[0].hexdigest(), self._digests[1].hexdigest())

    def keep_as(self, target: Path) -> None:
        """Give the data a name on the same file system that stays when this is closed."""
        os.link(self.path, target)
        sync_directory(target.parent)

    def inspect(self, disk_format: str, container_format: str) -> Inspected:
        """Check the data against the declared formats; raises FormatRefused."""
        return inspect_file(self._fd, disk_format, container_format, self._rules)


def inspect_file(fd: int, disk_format: str, container_format: str, rules: Rules) -> Inspected:
    """Check an open file against the declared formats; raises FormatRefused."""
    return inspect(FileSource(fd), disk_format, container_format, rules)


def is_being_written(runtime: Runtime, image_id: str, token: str) -> bool:
    """Whether a living process holds the upload `token` of an image."""
    return any(_locked(folder / f"{image_id}.{token}") for folder in incoming_dirs(runtime))


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


def remove(runtime: Runtime, image_id: str, *, keep: Collection[str], staged: bool) -> None:
    """Remove an image's files: of dead uploads always, in stores that are not in `keep`, staged ones when asked."""
    doomed = [path for folder in incoming_dirs(runtime) for path in folder.glob(f"{image_id}.*") if not _locked(path)]
    doomed += [files.path(image_id) for files in stores_of(runtime).file_stores if files.info.id not in keep]
    doomed += [*(images_dir(runtime) / "staged").glob(f"{image_id}*")] if staged else []
    for path in doomed:
        path.unlink(missing_ok=True)


def stray(runtime: Runtime) -> Iterator[tuple[str, str | None]]:
    """The image that each file here is named for, with the store whose data it is; None for what is on its way in."""
    for files in stores_of(runtime).file_stores:
        if files.folder.is_dir():
            found = (path for path in files.folder.iterdir() if path.is_file() and not path.name.startswith("."))
            yield from ((path.name, files.info.id) for path in found)
    for folder in (*incoming_dirs(runtime), images_dir(runtime) / "staged"):
        if folder.is_dir():
            yield from ((path.name.partition(".")[0], None) for path in folder.iterdir())


def take_file(runtime: Runtime, image_id: str, token: str, source: Path) -> Incoming:
    """Bring a local file in: as another name of the same content where that is possible, else as a copy."""
    folder = incoming_dir(runtime, stores_of(runtime).default)
    try:
        return Incoming(runtime, image_id, token, folder, link=source)
    except OSError:
        incoming = Incoming(runtime, image_id, token, folder)
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


def write_sparse(fd: int, chunks: Sequence[bytes]) -> None:
    """Write the chunks from where the file stands, runs of zeroes as holes, the last one perhaps beyond its end."""
    run: list[memoryview] = []
    hole = 0
    for piece in _pieces(chunks):
        if len(piece) >= _LEAST_HOLE and not piece[0] and not piece[-1] and bytes(piece) == bytes(len(piece)):
            _write_all(fd, run)
            run, hole = [], hole + len(piece)
            continue
        if hole:
            os.lseek(fd, hole, os.SEEK_CUR)
            hole = 0
        run.append(piece)
    _write_all(fd, run)
    if hole:
        os.lseek(fd, hole, os.SEEK_CUR)


def _pieces(chunks: Sequence[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), _LARGEST_PIECE):
            yield view[start : start + _LARGEST_PIECE]


def _write_all(fd: int, pieces: Sequence[memoryview]) -> None:
    for start in range(0, len(pieces), 512):  # writev takes at most IOV_MAX (1024) buffers
        views = list(pieces[start : start + 512])
        while views:
            written = os.writev(fd, views)
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views and written:
                views[0] = views[0][written:]
