"""Copies of big, mostly empty files: shared blocks where the file system has them, else only what is written.

Neither fills memory: what has been copied is written out and dropped from the cache now and then.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from typing import BinaryIO

FICLONE = 0x40049409

_NO_CLONES = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.ETXTBSY}
_NO_RANGES = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_STEP = 16 << 20
_BLOCK = 64 << 10
_ZEROS = bytes(_BLOCK)
_DROP_EVERY = 256 << 20


def clone(source: int, target: int) -> bool:
    """Have the empty file `target` share all blocks of `source` until either is written to; False when it cannot."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONES:
            return False
        raise
    return True


def copy(source: int, target: int) -> None:
    """Make the empty file `target` the same as `source`: shared, or copied with its holes."""
    if clone(source, target):
        return
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    dropped = 0
    for start, end in extents(source, size):
        for offset in range(start, end, _STEP):
            _copy_range(source, target, offset, min(end, offset + _STEP))
            if offset - dropped >= _DROP_EVERY:
                _drop(source, target)
                dropped = offset
    _drop(source, target)


def extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has data: start and end of each stretch; the whole file where the file system does not tell."""
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from there on
                return
            yield position, size
            return
        yield start, min(end, size)
        position = end


def pour(data: BinaryIO, target: int, limit: int) -> None:
    """Write what is read from `data`, to its end, into the empty file; stretches of zeros stay holes.

    Raises ValueError when there are more than `limit` bytes.
    """
    position = dropped = 0
    while block := data.read(_BLOCK):
        if position + len(block) > limit:
            raise ValueError(f"more than {limit} bytes")
        if block != (_ZEROS if len(block) == _BLOCK else bytes(len(block))):
            _write(target, block, position)
        position += len(block)
        if position - dropped >= _DROP_EVERY:
            _drop(target)
            dropped = position
    _drop(target)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            done = os.copy_file_range(source, target, end - start, start, start)
        except OSError as error:
            if error.errno not in _NO_RANGES:
                raise
            block = os.pread(source, min(_BLOCK, end - start), start)
            _write(target, block, start)
            done = len(block)
        if not done:  # the source is shorter by now
            return
        start += done


def _write(target: int, block: bytes, position: int) -> None:
    view = memoryview(block)
    while view:
        done = os.pwrite(target, view, position)
        view, position = view[done:], position + done


def _drop(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor == descriptors[-1]:
            os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
