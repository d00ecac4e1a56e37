"""Bytes to be looked at, wherever they lie: a file, a part of one, or the ends of a stream that went by."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, Protocol

LONGEST_READ = 2 << 20
"""The most that is read of anything at once, so that no header decides how much memory an inspection takes."""


class FormatRefused(Exception):
    """The bytes are not what was declared, or not safe to open; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the inspection found; `virtual_size` in bytes is what a guest would see, None when not known."""

    format: str
    virtual_size: int | None


class Source(Protocol):
    """Bytes that can be read anywhere."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer, or none, past the end."""
        ...


class FileSource:
    """An open file, or a part of it. Does not close it, and does not move its position."""

    def __init__(self, fd: int, start: int = 0, size: int | None = None) -> None:
        self._fd = fd
        self._start = start
        self._size = os.fstat(fd).st_size - start if size is None else size

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`."""
        if not 0 <= offset < self._size:
            return b""
        wanted = min(length, LONGEST_READ, self._size - offset)
        parts: list[bytes] = []
        while wanted > 0 and (part := os.pread(self._fd, wanted, self._start + offset)):
            parts.append(part)
            offset += len(part)
            wanted -= len(part)
        return b"".join(parts)


class Ends:
    """The beginning and the end of data whose middle is not at hand, such as a stream that has been unpacked."""

    def __init__(self, head: bytes, size: int, tail: bytes = b"") -> None:
        self._head = head
        self._tail = tail
        self._size = size

    @property
    def size(self) -> int:
        """How many bytes there were."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`. Raises FormatRefused for bytes of the middle."""
        if not 0 <= offset < self._size:
            return b""
        end = min(offset + min(length, LONGEST_READ), self._size)
        if end <= len(self._head):
            return self._head[offset:end]
        start = offset - (self._size - len(self._tail))
        if start >= 0:
            return self._tail[start : start + end - offset]
        if len(self._head) + len(self._tail) >= self._size:
            return (self._head + self._tail[len(self._head) + len(self._tail) - self._size :])[offset:end]
        raise FormatRefused(
            f"The packed data's header points {offset} bytes into it, farther than packed data is looked at. "
            "Upload the data unpacked."
        )


def fields(source: Source, layout: str, offset: int, name: str) -> tuple[Any, ...]:
    """The numbers that lie at `offset`; raises FormatRefused when the data ends before."""
    length = struct.calcsize(layout)
    data = source.read(offset, length)
    if len(data) < length:
        raise FormatRefused(
            f"The {name} header is cut off: {length} bytes were expected at byte {offset}, "
            f"and the data has {source.size}. Upload the whole file."
        )
    return struct.unpack(layout, data)
