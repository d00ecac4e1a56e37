"""Tar archives, walked from member to member without unpacking anything: what is read is bounded, whatever they say."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from stackyard.services.image.formats.source import FormatRefused, Source

BLOCK = 512

_LONGEST_NAME = 4096
_LARGEST_EXTENSION = 1 << 20
_MOST_EXTENSIONS = 16
_HUGE = 1 << 62
_KINDS = {b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "directory", b"6": "pipe"}


class Stream(Protocol):
    """Bytes that are read forwards."""

    def read(self, length: int) -> bytes:
        """Exactly `length` bytes, fewer at the end."""
        ...

    def skip(self, length: int) -> int:
        """Pass over bytes; how many there were."""
        ...


class Forwards:
    """A source read forwards."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def read(self, length: int) -> bytes:
        """Exactly `length` bytes, fewer at the end."""
        data = self._source.read(self._position, length)
        self._position += len(data)
        return data

    def skip(self, length: int) -> int:
        """Pass over bytes without reading them."""
        before = self._position
        self._position = max(before, min(self._source.size, before + length))
        return self._position - before


@dataclass(frozen=True, slots=True)
class Member:
    """One member: the name that it unpacks to, where its content lies, its size on disk, what a link points to."""

    name: str
    kind: str
    offset: int
    size: int
    unpacked: int
    target: str = ""


class Tar:
    """A tar's members in order, extension headers resolved; between two of them the first one's content may be read.

    Raises FormatRefused for what is no tar, is cut off, or has more than `most` members.
    """

    def __init__(self, stream: Stream, most: int) -> None:
        self._stream = stream
        self._most = most
        self._left = 0
        self._offset = 0

    def content(self, most: int) -> bytes:
        """The next `most` bytes of the member at hand, fewer at its end."""
        data = self._stream.read(min(most, self._left))
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[Member]:
        given: dict[str, str] = {}
        extensions = 0
        for _ in range(2 * self._most + 2):
            header = self._header()
            if header is None:
                return
            kind, size = header[156:157], _number(header[124:136])
            if kind in (b"L", b"K", b"x", b"g"):
                extensions += 1
                given |= self._extension(kind, size)
                continue
            if "size" in given:
                size = _decimal(given["size"])
            at = self._offset
            extra = self._sparse_blocks(header) if kind == b"S" else 0
            self._left = size
            if self._most <= 0:
                break
            self._most -= 1
            yield _member(header, kind, at + extra, size, given)
            given, extensions = {}, 0
            self._pass(size)
        raise FormatRefused("The tar archive has more members than are accepted.")

    def _header(self) -> bytes | None:
        """The next header; None at the archive's end."""
        header = self._stream.read(BLOCK)
        if self._offset and (not header or header.count(0) == BLOCK):
            return None
        if len(header) < BLOCK or not _checksum_holds(header):
            raise FormatRefused(f"The data is not a tar archive (at byte {self._offset}). Upload a tar archive.")
        self._offset += BLOCK
        return header

    def _pass(self, size: int) -> None:
        """Go on to the header that follows a member's content."""
        padding = -size % BLOCK
        skipped = self._stream.skip(self._left + padding)
        if skipped < self._left:
            raise FormatRefused(
                f"The tar archive is cut off: a member at byte {self._offset - BLOCK} has {size} bytes."
            )
        self._left = 0
        self._offset += size + padding

    def _extension(self, kind: bytes, size: int) -> dict[str, str]:
        if size > _LARGEST_EXTENSION:
            raise FormatRefused(f"The tar archive has an extension header of {size} bytes (at byte {self._offset}).")
        self._left = size
        data = self.content(size)
        self._pass(size)
        if kind in (b"L", b"K"):
            return {"path" if kind == b"L" else "linkpath": _text(data)}
        found = _records(data)
        if kind == b"g":
            if found:
                raise FormatRefused("The tar archive gives all its members one name or size, which is not accepted.")
            return {}
        return found

    def _sparse_blocks(self, header: bytes) -> int:
        """Pass over the blocks that follow a GNU sparse header; their bytes."""
        passed = 0
        more = header[482] != 0
        while more:
            block = self._stream.read(BLOCK)
            passed += len(block)
            if len(block) < BLOCK or passed > _LARGEST_EXTENSION:
                raise FormatRefused(f"The tar archive is cut off in a sparse member (at byte {self._offset}).")
            more = block[504] != 0
        self._offset += passed
        return passed


def escapes(name: str) -> bool:
    """Whether a member of this name, or a link to it, lies outside the folder that the archive is unpacked in."""
    return name.startswith("/") or posixpath.normpath(name).split("/", 1)[0] == ".."


def _member(header: bytes, kind: bytes, offset: int, size: int, given: dict[str, str]) -> Member:
    name = given.get("GNU.sparse.name") or given.get("path") or _short_name(header)
    unpacked = size
    if kind == b"S":
        unpacked = _number(header[483:495])
    for key in ("GNU.sparse.realsize", "GNU.sparse.size"):
        if key in given:
            unpacked = _decimal(given[key])
    target = (given.get("linkpath") or _text(header[157:257])) if kind in (b"1", b"2") else ""
    return Member(name.removeprefix("./"), _KINDS.get(kind, "file"), offset, size, max(size, unpacked), target)


def _checksum_holds(header: bytes) -> bool:
    try:
        stated = int(header[148:156].rstrip(b"\0 ").lstrip() or b"x", 8)
    except ValueError:
        return False
    return sum(header) - sum(header[148:156]) + 8 * 32 == stated


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return min(int.from_bytes(field[1:], "big"), _HUGE) if field[0] == 0x80 else _HUGE
    try:
        value = int(field.rstrip(b"\0 ").lstrip() or b"0", 8)
    except ValueError:
        return _HUGE  # longer than any file: refused as cut off
    return value if value >= 0 else _HUGE


def _decimal(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else _HUGE


def _short_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0][:_LONGEST_NAME].decode("utf-8", "replace")


def _records(data: bytes) -> dict[str, str]:
    """Those records of a pax header that change what a member is. Their lengths, not line ends, part them."""
    found: dict[str, str] = {}
    while data:
        digits, space, _ = data[:24].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        if not len(digits) + 3 <= length <= len(data):
            raise FormatRefused("The tar archive has a malformed extension header. Pack it again.")
        key, _, value = data[len(digits) + 1 : length - 1].partition(b"=")
        if key in (b"path", b"linkpath", b"size", b"GNU.sparse.name", b"GNU.sparse.realsize", b"GNU.sparse.size"):
            found[key.decode()] = value[:_LONGEST_NAME].decode("utf-8", "replace")
        data = data[length:]
    return found
