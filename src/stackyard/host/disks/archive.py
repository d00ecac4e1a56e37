"""Backups of volumes: pieces of 4 MiB, each kept once in a chain of backups, compressed.

A backup is the list of its pieces; an incremental one goes on with the pieces of its parent, and adds what is new. So
each can be restored from its own list, and deleting one deletes the pieces that no other of the chain has. A piece is
named by the hash of what is in it, which is checked when it is read. Nothing has its name before it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stackyard.host.disks.copying import extents
from stackyard.host.disks.shelf import sync_directory, told
from stackyard.host.errors import HostError, NotFoundError, SpecError

PIECE = 4 << 20
_LEVEL = 3
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Listed(msgspec.Struct, frozen=True):
    """A backup: the volume's bytes, and the hashes of its pieces in order; None for one that is nothing but zeros."""

    size: int
    pieces: list[str | None]

    @property
    def count(self) -> int:
        """How many pieces it is made of."""
        return len({piece for piece in self.pieces if piece})


class Archive:
    """Backups in `directory`: a folder for each chain, named as its first backup."""

    def __init__(self, directory: Path, piece: int = PIECE) -> None:
        self._directory = directory
        self._piece = piece

    def add(self, backup_id: str, data: BinaryIO, parent_id: str | None, go_on: Callable[[], bool]) -> Listed:
        """Keep what is read from `data`; one that is kept already stays. Raises NotFoundError when the parent is gone.

        `go_on` is asked at each piece: False ends it with HostError, and nothing is kept but pieces.
        """
        with told():
            try:
                return self.find(backup_id)
            except NotFoundError:
                chain = self._chain_of(parent_id) if parent_id else self._folder(backup_id)
            (chain / "pieces").mkdir(parents=True, exist_ok=True, mode=0o700)
            with _held(chain, fcntl.LOCK_SH):
                listed = self._keep_all(chain, backup_id, data, go_on)
                _write(chain / f"{_sound(backup_id)}.json", msgspec.json.encode(listed))
            return listed

    def _keep_all(self, chain: Path, backup_id: str, data: BinaryIO, go_on: Callable[[], bool]) -> Listed:
        pieces: list[str | None] = []
        size = 0
        for index, piece in _pieces(data, self._piece):
            if not go_on():
                raise HostError(f"Backup {backup_id} is not wanted any more.")
            pieces += [None] * (index - len(pieces))
            pieces.append(self._keep(chain, piece) if any_but_zeros(piece) else None)
            size = index * self._piece + len(piece)
        return Listed(max(size, _size_of(data)), pieces)

    def find(self, backup_id: str) -> Listed:
        """A backup's list. Raises NotFoundError."""
        path = self._chain_of(backup_id) / f"{backup_id}.json"
        return msgspec.json.decode(path.read_bytes(), type=Listed)

    @contextlib.contextmanager
    def open(self, backup_id: str) -> Iterator[BinaryIO]:
        """A backup's content, to be read from start to end. Raises NotFoundError; HostError for damaged pieces."""
        listed, chain = self.find(backup_id), self._chain_of(backup_id)
        reader = _Reader(listed, self._piece, lambda name: _read(chain / "pieces" / name))
        with io.BufferedReader(reader, self._piece) as file:
            yield file

    def remove(self, backup_id: str) -> None:
        """Delete a backup, and the pieces that no other one of its chain has; gone is fine.

        While another one is added to the chain its pieces stay; the next deletion takes them.
        """
        with told():
            try:
                chain = self._chain_of(backup_id)
            except NotFoundError:
                chain = self._folder(backup_id)  # perhaps one that was never finished
            if not chain.exists():
                return
            (chain / f"{backup_id}.json").unlink(missing_ok=True)
            with contextlib.suppress(BlockingIOError), _held(chain, fcntl.LOCK_EX | fcntl.LOCK_NB):
                _sweep(chain)

    def backups(self) -> list[str]:
        """All backups that are kept."""
        return sorted(path.stem for path in self._directory.glob("*/*.json"))

    def purge(self) -> None:
        """Delete all."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _folder(self, backup_id: str) -> Path:
        return self._directory / _sound(backup_id)

    def _chain_of(self, backup_id: str) -> Path:
        for path in self._directory.glob(f"*/{_sound(backup_id)}.json"):
            return path.parent
        raise NotFoundError(f"Backup {backup_id} is not kept on this host.")

    def _keep(self, chain: Path, piece: bytes) -> str:
        name = _name(piece)
        path = chain / "pieces" / name
        if not path.exists():
            _write(path, _zstd().compress(piece, _LEVEL))
        return name


def _sweep(chain: Path) -> None:
    lists = list(chain.glob("*.json"))
    if not lists:
        shutil.rmtree(chain, ignore_errors=True)
        return
    used = {piece for path in lists for piece in msgspec.json.decode(path.read_bytes(), type=Listed).pieces}
    for path in (chain / "pieces").iterdir():
        if path.name not in used:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(chain: Path, how: int) -> Iterator[None]:
    """A lock on a chain, against other threads and other hosts: shared to add to it, for oneself to delete from it."""
    descriptor = os.open(chain, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


class _Reader(io.RawIOBase):
    def __init__(self, listed: Listed, piece: int, read: Callable[[str], bytes]) -> None:
        super().__init__()
        self._piece = piece
        self._listed = listed
        self._read = read
        self._position = 0
        self._at: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        index, offset = divmod(self._position, self._piece)
        left = min(len(buffer), self._piece - offset, self._listed.size - self._position)
        if left <= 0:
            return 0
        name = self._listed.pieces[index] if index < len(self._listed.pieces) else None
        if name is None:
            buffer[:left] = bytes(left)
        else:
            if self._at[0] != index:
                self._at = (index, self._read(name).ljust(self._piece, b"\0"))
            buffer[:left] = self._at[1][offset : offset + left]
        self._position += left
        return int(left)


def _pieces(data: BinaryIO, length: int) -> Iterator[tuple[int, bytes]]:
    """The pieces of a file by their number; those where it has no data are left out."""
    try:
        descriptor = data.fileno()
    except (OSError, AttributeError):
        index = 0
        while piece := data.read(length):
            yield index, piece
            index += 1
        return
    size, following = os.fstat(descriptor).st_size, 0
    for start, end in extents(descriptor, size):
        for index in range(max(following, start // length), -(-end // length)):
            yield index, os.pread(descriptor, min(length, size - index * length), index * length)
            following = index + 1


def _size_of(data: BinaryIO) -> int:
    try:
        return os.fstat(data.fileno()).st_size
    except (OSError, AttributeError):
        return 0


def any_but_zeros(piece: bytes) -> bool:
    """Whether there is anything in it."""
    return piece.count(0) != len(piece)


def _name(piece: bytes) -> str:
    return hashlib.blake2b(piece, digest_size=32).hexdigest()


def _read(path: Path) -> bytes:
    try:
        piece: bytes = _zstd().decompress(path.read_bytes())
    except FileNotFoundError:
        raise HostError(f"The backup is damaged: piece {path.name} is missing.") from None
    except _zstd().ZstdError as error:
        raise HostError(f"The backup is damaged: piece {path.name} cannot be unpacked.") from error
    if _name(piece) != path.name:
        raise HostError(f"The backup is damaged: piece {path.name} is not what it was.")
    return piece


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    if path.suffix == ".json":
        sync_directory(path.parent)


def _sound(backup_id: str) -> str:
    if not _ID.fullmatch(backup_id):
        raise SpecError("an id of a backup has letters, digits, dots and dashes only")
    return backup_id


def _zstd() -> Any:
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
