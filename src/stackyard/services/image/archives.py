"""Whether a file is a container image that an engine can load: a `docker save` archive or an OCI layout in a tar.

Walks the tar's headers without unpacking anything: what is read is bounded, whatever the file claims.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from stackyard.services.image.formats import FormatRefused

_BLOCK = 512
_MOST_MEMBERS = 20_000
_LARGEST_MANIFEST = 4 << 20
_LONGEST_NAME = 4096
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_FILE_TYPES = (b"0", b"\0", b"7")


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar: its name, and where its content lies."""

    name: str
    offset: int
    size: int


def check_container_image(file: BinaryIO) -> None:
    """Raise FormatRefused unless `file` is a tar with a sound docker-save manifest.json or OCI index.json."""
    file.seek(0)
    head = file.read(8)
    for magic, name in _COMPRESSED:
        if head.startswith(magic):
            raise FormatRefused(
                f"The container image is compressed ({name}). Upload it uncompressed, as `docker save` writes it."
            )
    found = {member.name: member for member in members(file)}
    if "manifest.json" in found:
        _check_docker(file, found)
    elif "index.json" in found and "oci-layout" in found:
        _check_oci(file, found)
    else:
        raise FormatRefused(
            "container_format is docker, but the archive has neither a manifest.json (docker save) nor an "
            "oci-layout with an index.json. Upload what `docker save IMAGE` writes, or use container_format bare."
        )


def members(file: BinaryIO) -> Iterator[Member]:
    """The regular files of a tar. Raises FormatRefused for what is no tar, is cut off, or has too many members."""
    end = file.seek(0, os.SEEK_END)
    offset = 0
    long_name: str | None = None
    for _ in range(_MOST_MEMBERS):
        file.seek(offset)
        header = file.read(_BLOCK)
        if header.count(0) == _BLOCK:
            return
        if len(header) < _BLOCK or not _checksum_holds(header):
            raise FormatRefused(f"container_format is docker, but the data is not a tar archive (at byte {offset}).")
        size = _number(header[124:136])
        kind = header[156:157]
        if offset + _BLOCK + size > end:
            raise FormatRefused(f"The tar archive is cut off: a member at byte {offset} has {size} bytes.")
        if kind in (b"L", b"x"):
            if size <= 1 << 16:
                long_name = _long_name(kind, file.read(size)) or long_name
        elif kind != b"g":
            if kind in _FILE_TYPES:
                yield Member(_tidy(long_name or _short_name(header)), offset + _BLOCK, size)
            long_name = None
        offset += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if offset >= end:
            return
    raise FormatRefused(f"The tar archive has more than {_MOST_MEMBERS} members.")


def _checksum_holds(header: bytes) -> bool:
    try:
        stated = int(header[148:156].rstrip(b"\0 ").lstrip() or b"x", 8)
    except ValueError:
        return False
    return sum(header) - sum(header[148:156]) + 8 * 32 == stated


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else 1 << 62
    try:
        value = int(field.rstrip(b"\0 ").lstrip() or b"0", 8)
    except ValueError:
        return 1 << 62  # longer than any file: refused as cut off
    return value if value >= 0 else 1 << 62


def _short_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:262] == b"ustar" and header[262:263] == b"\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _long_name(kind: bytes, content: bytes) -> str | None:
    if kind == b"L":
        return content.split(b"\0", 1)[0][:_LONGEST_NAME].decode("utf-8", "replace")
    for line in content.split(b"\n"):
        _, _, record = line.partition(b" ")
        key, _, value = record.partition(b"=")
        if key == b"path":
            return value[:_LONGEST_NAME].decode("utf-8", "replace")
    return None


def _tidy(name: str) -> str:
    return name.removeprefix("./")


def _document(file: BinaryIO, member: Member) -> Any:
    if member.size > _LARGEST_MANIFEST:
        raise FormatRefused(f"{member.name} has {member.size} bytes; at most {_LARGEST_MANIFEST} are accepted.")
    file.seek(member.offset)
    try:
        return msgspec.json.decode(file.read(member.size))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatRefused(f"The container image's {member.name} is not valid JSON.") from None


def _check_docker(file: BinaryIO, found: dict[str, Member]) -> None:
    manifest = _document(file, found["manifest.json"])
    if not isinstance(manifest, list) or not manifest:
        raise FormatRefused("The container image's manifest.json is not a list of images.")
    for entry in manifest:
        if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
            raise FormatRefused("The container image's manifest.json has an entry without a Config.")
        if entry["Config"] not in found:
            raise FormatRefused(f"The container image lacks {entry['Config'][:200]}, its configuration.")
        if not isinstance(entry.get("Layers") or [], list):
            raise FormatRefused("The container image's manifest.json has Layers that are not a list.")


def _check_oci(file: BinaryIO, found: dict[str, Member]) -> None:
    index = _document(file, found["index.json"])
    manifests = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(manifests, list) or not manifests:
        raise FormatRefused("The container image's index.json names no manifest.")
    for entry in manifests:
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or "blobs/" + digest.replace(":", "/", 1) not in found:
            raise FormatRefused("The container image's index.json names a manifest that the archive does not hold.")
