"""Packed data, unpacked only to be counted and looked at: bounded in memory, and in how much comes out.

A few kilobytes can say that they are terabytes. What would unpack to more than the rules allow is refused as soon as
it has, so that finding out costs no more than the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from stackyard.services.image.formats.rules import Rules
from stackyard.services.image.formats.source import Ends, FormatRefused, Source

MAGICS: dict[str, bytes] = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
}
FOREIGN: dict[str, bytes] = {
    "zip": b"PK\x03\x04",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "lz4": b"\x04\x22\x4d\x18",
    "compress": b"\x1f\x9d",
    "rar": b"Rar!\x1a\x07",
}
"""Packed data that is known and not taken."""

_READ = 1 << 17
_STEP = 1 << 20
_WINDOW_LOG = 27
_MEMORY = 256 << 20
"""The most that an unpacker itself may use for its window; xz -9 takes 65 MiB, zstd --long 128."""

_HEAD = 4 << 20
_TAIL = 1 << 16


class Unpacker(Protocol):
    """What bz2, lzma and zstd have in common, for one stream of possibly several."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without more going in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What followed the stream's end."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes more."""
        ...


class _Gzip:
    """zlib's object with the same face as the others."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)
        self.error = zlib.error

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _unpackers(kind: str) -> tuple[Callable[[], Unpacker], tuple[type[Exception], ...]]:
    """What makes an unpacker, and what it raises."""
    if kind == "gzip":
        import zlib

        return _Gzip, (zlib.error,)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, ValueError)
    if kind == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY), (lzma.LZMAError, MemoryError)
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options), (zstd.ZstdError,)


def _zstd() -> Any:
    import importlib
    import sys

    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def kind_of(head: bytes) -> str | None:
    """How data that begins so is packed; None when it is not, as far as is known."""
    return next((kind for kind, magic in (MAGICS | FOREIGN).items() if head.startswith(magic)), None)


class Unpacked:
    """Packed data to be read from its beginning to its end, unpacked. `count` is what has come out so far."""

    def __init__(self, source: Source, rules: Rules, name: str = "data") -> None:
        kind = kind_of(source.read(0, 8))
        if kind not in MAGICS:
            raise FormatRefused(
                f"The {name} is {f'packed by {kind}' if kind else 'not packed'}, where one of {', '.join(MAGICS)} is "
                "expected. Pack it with one of these."
            )
        self.kind = kind
        self.count = 0
        self._name = name
        self._source = source
        self._position = 0
        self._limit = rules.most_unpacked(source.size)
        self._make, self._errors = _unpackers(kind)
        self._current = self._make()
        self._fed = b""
        self._held = b""

    def read(self, length: int) -> bytes:
        """Exactly `length` bytes, fewer at the end. Raises FormatRefused for too much, and for what is broken."""
        parts = [self._held[:length]]
        self._held = self._held[length:]
        missing = length - len(parts[0])
        while missing > 0 and (block := self._next()):
            parts.append(block[:missing])
            self._held = block[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, length: int) -> int:
        """Read and forget; how many bytes there were."""
        skipped = 0
        while skipped < length and (block := self.read(min(_STEP, length - skipped))):
            skipped += len(block)
        return skipped

    def _next(self) -> bytes:
        """Some more bytes; none at the end."""
        while True:
            if self._current.eof and not self._another():
                return b""
            if self._current.needs_input and not self._fed:
                self._fed = self._source.read(self._position, _READ)
                self._position += len(self._fed)
                if not self._fed:
                    raise FormatRefused(f"The {self._name} is cut off within its {self.kind} data. Upload all of it.")
            data, self._fed = self._fed, b""
            try:
                block = self._current.decompress(data, _STEP)
            except self._errors as error:
                raise FormatRefused(
                    f"The {self._name} is not sound {self.kind} data ({str(error)[:80]}). Pack it again."
                ) from None
            if block:
                self._check(len(block))
                return block

    def _check(self, more: int) -> None:
        self.count += more
        if self.count > self._limit:
            raise FormatRefused(
                f"The {self._name} has {self._source.size} bytes and unpacks to more than the {self._limit} that are "
                "allowed for it. Upload it unpacked, or ask the operator for a higher limit."
            )

    def _another(self) -> bool:
        """Begin the stream that follows the one that has ended; False when none does."""
        rest = self._current.unused_data
        while not (rest := rest.lstrip(b"\0")):
            rest = self._source.read(self._position, _READ)
            self._position += len(rest)
            if not rest:
                return False
        if len(rest) < 8:
            more = self._source.read(self._position, 8)
            self._position += len(more)
            rest += more
        if kind_of(rest) != self.kind:
            raise FormatRefused(
                f"The {self._name} has {self.kind} data followed by something else, which programs would take for "
                "different things. Pack it again."
            )
        self._current = self._make()
        self._fed = rest
        return True


def ends(unpacked: Unpacked) -> Ends:
    """Unpack everything and keep the beginning and the end of it."""
    head = unpacked.read(_HEAD)
    tail = head[-_TAIL:]
    while block := unpacked.read(_STEP):
        tail = (tail + block)[-_TAIL:]
    return Ends(head, unpacked.count, tail)
