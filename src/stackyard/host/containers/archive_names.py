"""Takes the names out of an image archive on its way into an engine's store, and puts the wanted one in.

An archive is whatever somebody uploaded. Loaded as it is, one that calls itself `nginx:latest` would become what every
other user of the engine gets as nginx.
"""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from stackyard.host.errors import SpecError

_CHUNK = 1 << 20
_INDEX_LIMIT = 16 << 20
_OCI_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def renamed(archive: BinaryIO, name: str) -> Iterator[bytes]:
    """The archive (compressed or not) as an uncompressed one whose first image is called `name` (with its tag).

    Further images lose their names. SpecError when it is no tar, or its index cannot be read.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as content:
            for member in content:
                yield from _member(content, member, name)
    except (tarfile.TarError, EOFError) as error:
        raise SpecError(f"the image {name} is not a tar archive: {error}") from error
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(content: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Iterator[bytes]:
    path = member.name.removeprefix("./")
    if path == "repositories":
        return  # names once more, for engines older than any that we drive
    data = content.extractfile(member) if member.isfile() else None
    if data is not None and path in {"manifest.json", "index.json"}:
        if member.size > _INDEX_LIMIT:
            raise SpecError(f"the image {name} has a {path} of {member.size} bytes")
        text = _rewritten(path, data.read(), name)
        member = copy.copy(member)
        member.size = len(text)
        member.pax_headers = {}
        yield _header(member)
        yield text + _padding(len(text))
        return
    yield _header(member)
    if data is not None:
        while chunk := data.read(_CHUNK):
            yield chunk
        yield _padding(member.size)


def _rewritten(path: str, text: bytes, name: str) -> bytes:
    try:
        document: Any = msgspec.json.decode(text)
        entries = document if path == "manifest.json" else document["manifests"]
        for number, entry in enumerate(entries):
            if path == "manifest.json":
                entry["RepoTags"] = None if number else [name]
            else:
                kept = {key: value for key, value in (entry.get("annotations") or {}).items() if key not in _OCI_NAMES}
                own = {} if number else {_OCI_NAMES[0]: name, _OCI_NAMES[1]: name.rpartition(":")[2]}
                entry["annotations"] = kept | own
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError) as error:
        raise SpecError(f"the image {name} has a {path} that cannot be read") from error
    return msgspec.json.encode(document)


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
