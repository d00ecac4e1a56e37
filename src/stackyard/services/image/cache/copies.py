"""The files of the cache: written while data passes by, given their name once it is whole and right, bounded in all."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.image import formats
from stackyard.services.image import tables as images
from stackyard.services.image.cache import tables
from stackyard.services.image.stores import DataMissing, Source
from stackyard.services.image.stores.files import FileSource, FileStore
from stackyard.services.image.stores.registry import Location, stores_of
from stackyard.services.keys import STATE_DIR

log = logging.getLogger("stackyard.image")


def folder(runtime: Runtime) -> Path:
    """Where the copies lie, made when it is not there."""
    path = runtime[STATE_DIR] / "image-cache"
    (path / "incoming").mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def open_copy(runtime: Runtime, image_id: str) -> Source | None:
    """This host's copy of an image's data, and count the use; None when there is none. Blocks."""
    host = tables.host_of(runtime)
    row = runtime.database.read("image.cache.look", tables.find, host, image_id)
    if row is None or row.status != tables.CACHED:
        return None
    if row.copied:
        try:
            found: Source | None = FileSource(folder(runtime) / image_id)
        except FileNotFoundError:
            runtime.database.write("image.cache.lost", tables.drop, host, image_id)
            return None
    else:
        found = None
    runtime.database.write("image.cache.hit", tables.hit, host, image_id)
    return found


def is_local(runtime: Runtime, location: Location) -> bool:
    """Whether data at a location is on this host without being copied."""
    return not location.get("url") and isinstance(stores_of(runtime).written.get(location["store"]), FileStore)


def keeping(runtime: Runtime, image: Any, location: Location, source: Source) -> Source:
    """The same source, what is read of it being kept on this host; itself where that is not wanted or cannot be."""
    limit = runtime.settings.image.cache_size
    digest = image.os_hash_value or image.checksum
    if not 0 < (image.size or 0) <= limit or not digest or is_local(runtime, location):
        return source
    try:
        return KeepingSource(runtime, image, source)
    except BlockingIOError:
        return source  # somebody else fetches it
    except OSError:
        log.warning("an image's data cannot be kept on this host", exc_info=True, extra={"id": image.id})
        return source


class KeepingSource:
    """Data that is being read, written to a file as long as it is read from its beginning on."""

    def __init__(self, runtime: Runtime, image: Any, source: Source) -> None:
        self.size = source.size
        self._runtime = runtime
        self._image = image
        self._source = source
        self._path = folder(runtime) / "incoming" / image.id
        self._digest = hashlib.new(image.os_hash_algo) if image.os_hash_value else hashlib.md5(usedforsecurity=False)
        self._position = 0
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
        except BaseException:
            os.close(self._fd)
            raise

    def read(self, position: int, length: int) -> bytes:
        """Part of the data."""
        data = self._source.read(position, length)
        if self._fd >= 0:
            try:
                self._keep(position, data)
            except OSError:
                log.warning("an image's data cannot be kept on this host", exc_info=True, extra={"id": self._image.id})
                self._give_up()
        return data

    def _keep(self, position: int, data: bytes) -> None:
        if position != self._position or position + len(data) > self._image.size:
            self._give_up()
            return
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._digest.update(data)
        self._position += len(data)

    def close(self) -> None:
        """Let go of the source, and keep the file if all has come and is right."""
        try:
            self._source.close()
        finally:
            if self._fd >= 0:
                self._finish()

    def _finish(self) -> None:
        image = self._image
        try:
            if self._position != image.size:
                return
            if self._digest.hexdigest() != (image.os_hash_value or image.checksum):
                log.warning("a store gave data that does not have the image's digest", extra={"image": image.id})
                return
            formats.inspect(
                formats.FileSource(self._fd),
                image.disk_format,
                image.container_format,
                formats.Rules.of(self._runtime.settings.image),
            )
            self._path.replace(folder(self._runtime) / image.id)
            self._runtime.database.write("image.cache.keep", _kept, self._runtime, image.id, image.size)
            prune(self._runtime)
        except formats.FormatRefused as error:
            # What a client named a location of has not been looked at before.
            log.warning("an image's data is not kept: %s", error, extra={"image": image.id})
        except OSError:
            log.warning("an image's data cannot be kept on this host", exc_info=True, extra={"id": image.id})
        finally:
            self._give_up()

    def _give_up(self) -> None:
        fd, self._fd = self._fd, -1
        self._path.unlink(missing_ok=True)
        os.close(fd)


def _kept(tx: Transaction, runtime: Runtime, image_id: str, size: int) -> None:
    host = tables.host_of(runtime)
    if images.find(tx, image_id) is not None:  # otherwise it was deleted meanwhile, and its file goes by the mark
        tables.keep(tx, host, image_id, size, copied=True)
    else:
        tables.mark(tx, host, image_id)


def prune(runtime: Runtime) -> tuple[int, int]:
    """Drop what has not been read for longest until the rest is within the limit; how many files, and bytes."""
    return runtime.database.write("image.cache.prune", _prune, runtime)


def _prune(tx: Transaction, runtime: Runtime) -> tuple[int, int]:
    host = tables.host_of(runtime)
    copies = [row for row in tables.rows(tx, host) if row.copied]
    excess = sum(row.size for row in copies) - runtime.settings.image.cache_size
    files = freed = 0
    for row in copies:
        if freed >= excess:
            break
        tables.drop(tx, host, row.image_id)
        files, freed = files + 1, freed + row.size
    return files, freed


def fetch(runtime: Runtime, image: Any) -> bool:
    """Have an image's data on this host; whether it is. Raises StoreFault, NotAllowed, OSError; blocks."""
    stores = stores_of(runtime)
    locations = stores.by_weight(images.locations_of(image))
    if any(is_local(runtime, location) for location in locations):
        write = runtime.database.write
        write("image.cache.local", tables.keep, tables.host_of(runtime), image.id, image.size or 0, copied=False)
        return True
    for location in locations:
        try:
            source = keeping(runtime, image, location, stores.open(image.id, location))
        except DataMissing:
            continue
        try:
            position = 0
            while isinstance(source, KeepingSource) and (block := source.read(position, 1 << 20)):
                position += len(block)
        finally:
            source.close()
        row = runtime.database.read("image.cache.look", tables.find, tables.host_of(runtime), image.id)
        return row is not None and row.status == tables.CACHED
    return False
