"""What a Docker Engine sends as a stream: framed output of processes, and lines of JSON progress. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

_HEADER = 8
_STREAMS = (0, 1, 2)


def demultiplex(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Frames (stream 0 stdin, 1 stdout, 2 stderr; payload) out of chunks cut anywhere.

    A frame that the end of the stream cuts short yields what came of it. ValueError when it is no such stream.
    """
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while len(pending) >= _HEADER:
            stream, size = pending[0], int.from_bytes(pending[4:_HEADER])
            if stream not in _STREAMS or pending[1:4] != b"\0\0\0":
                raise ValueError("not a multiplexed stream")
            if len(pending) < _HEADER + size:
                break
            yield stream, bytes(pending[_HEADER : _HEADER + size])
            del pending[: _HEADER + size]
    if len(pending) > _HEADER:
        yield pending[0], bytes(pending[_HEADER:])


def json_lines(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream that has one on each line; chunks may be cut anywhere."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        *lines, pending = pending.split(b"\n")
        for line in lines:
            if line.strip():
                yield _object(line)
    if pending.strip():
        yield _object(pending)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {"stream": line.decode(errors="replace")}
    return value if isinstance(value, dict) else {"stream": str(value)}


def printed(chunks: Iterable[bytes], *, tty: bool) -> bytes:
    """What processes printed: a terminal's output comes raw, everything else in frames."""
    if tty:
        return b"".join(chunks)
    return b"".join(payload for _, payload in demultiplex(chunks))


def last_lines(output: bytes, count: int | None) -> bytes:
    """The last lines of it; all of them when `count` is None."""
    lines = output.splitlines(keepends=True)
    return output if count is None else b"".join(lines[len(lines) - count :] if count < len(lines) else lines)
