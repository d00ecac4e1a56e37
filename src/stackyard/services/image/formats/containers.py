"""What a disk or a file system may be wrapped in: engine images, OVA packages, root file systems."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import msgspec

from stackyard.services.image.formats import disks, packing
from stackyard.services.image.formats.rules import Rules
from stackyard.services.image.formats.source import LONGEST_READ, FormatRefused, Inspected, Source, fields
from stackyard.services.image.formats.tars import Forwards, Member, Stream, Tar, escapes

_MOST_IN_IMAGE = 20_000
_MOST_IN_OVA = 1_000
_MOST_IN_ROOTFS = 2_000_000
_MOST_NAMES = 8 << 20
"""Characters of names that are remembered of one archive."""

_LARGEST_DOCUMENT = 4 << 20
_STEP = 1 << 20
_HREF = re.compile(rb"""\bhref\s*=\s*["']([^"']*)["']""")
_SQUASHFS = b"hsqs"
_SQUASHFS_INODES = 20_000_000


class Part:
    """A member of an archive as a source of its own."""

    def __init__(self, whole: Source, member: Member) -> None:
        self._whole = whole
        self._start = member.offset
        self._size = member.size

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`."""
        if not 0 <= offset < self._size:
            return b""
        return self._whole.read(self._start + offset, min(length, self._size - offset))

    def whole(self) -> bytes:
        """Everything; for documents whose size has been checked."""
        return b"".join(self.read(at, LONGEST_READ) for at in range(0, self._size, LONGEST_READ))


def check_image(source: Source, rules: Rules) -> Inspected:
    """A container image that an engine can load: what `docker save` writes, or an OCI layout in a tar."""
    packed = packing.kind_of(source.read(0, 8))
    if packed is not None:
        raise FormatRefused(
            f"The container image is compressed ({packed}). Upload it uncompressed, as `docker save` writes it."
        )
    found: dict[str, Member] = {}
    names = unpacked = 0
    for member in Tar(Forwards(source), _MOST_IN_IMAGE):
        _check_place("container image", member)
        names += len(member.name)
        if names > _MOST_NAMES:
            raise FormatRefused("The names of the container image's members are too long together.")
        found[member.name] = member
        if member.kind == "file" and packing.kind_of(source.read(member.offset, 8)) in packing.MAGICS:
            unpacked += _unpacked_size(Part(source, member), rules, f"layer {member.name[:200]}")
            if unpacked > rules.most_unpacked(source.size):
                raise FormatRefused(
                    f"The container image's layers unpack to more than {rules.most_unpacked(source.size)} bytes, "
                    "which is more than is allowed for its size."
                )
    if "manifest.json" in found:
        _check_docker(source, found)
    elif "index.json" in found and "oci-layout" in found:
        _check_oci(source, found)
    else:
        raise FormatRefused(
            "container_format is docker, but the archive has neither a manifest.json (docker save) nor an "
            "oci-layout with an index.json. Upload what `docker save IMAGE` writes, or use container_format bare."
        )
    return Inspected("docker", None)


def _unpacked_size(part: Part, rules: Rules, name: str) -> int:
    unpacked = packing.Unpacked(part, rules, name)
    while unpacked.skip(_STEP):
        pass
    return unpacked.count


def _check_place(what: str, member: Member) -> None:
    """Raise FormatRefused for a member, or a link, that would lie outside the folder the archive is unpacked in."""
    target = member.target
    if member.kind == "symbolic link" and not target.startswith("/"):
        target = posixpath.join(posixpath.dirname(member.name), target)
    if escapes(member.name) or (target and escapes(target)):
        raise FormatRefused(
            f"The {what} has a member that lies outside of it: {member.name[:200]!r}"
            + (f", a {member.kind} to {member.target[:200]!r}" if target else "")
            + ". Pack it again with relative names."
        )
    if member.kind in ("device", "pipe"):
        raise FormatRefused(f"The {what} has a {member.kind}, {member.name[:200]!r}, where only files belong.")


def _document(source: Source, member: Member) -> Any:
    if member.size > _LARGEST_DOCUMENT:
        raise FormatRefused(f"{member.name} has {member.size} bytes; at most {_LARGEST_DOCUMENT} are accepted.")
    try:
        return msgspec.json.decode(Part(source, member).whole())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatRefused(f"The container image's {member.name} is not valid JSON.") from None


def _check_docker(source: Source, found: dict[str, Member]) -> None:
    manifest = _document(source, found["manifest.json"])
    if not isinstance(manifest, list) or not manifest:
        raise FormatRefused("The container image's manifest.json is not a list of images.")
    for entry in manifest:
        if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
            raise FormatRefused("The container image's manifest.json has an entry without a Config.")
        if entry["Config"] not in found:
            raise FormatRefused(f"The container image lacks {entry['Config'][:200]}, its configuration.")
        if not isinstance(entry.get("Layers") or [], list):
            raise FormatRefused("The container image's manifest.json has Layers that are not a list.")


def _check_oci(source: Source, found: dict[str, Member]) -> None:
    index = _document(source, found["index.json"])
    manifests = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(manifests, list) or not manifests:
        raise FormatRefused("The container image's index.json names no manifest.")
    for entry in manifests:
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or "blobs/" + digest.replace(":", "/", 1) not in found:
            raise FormatRefused("The container image's index.json names a manifest that the archive does not hold.")


def check_ova(source: Source, rules: Rules) -> Inspected:
    """An OVA: a tar of plain files with one OVF descriptor that names nothing but them, and disks that are safe."""
    names: set[str] = set()
    descriptors: list[Member] = []
    virtual_size: int | None = None
    for member in Tar(Forwards(source), _MOST_IN_OVA):
        if member.kind != "file" or "/" in member.name or member.name in ("", ".", ".."):
            raise FormatRefused(
                f"The OVA has {member.name[:200]!r}, a {member.kind}, where only files without folders belong. "
                "Export the package again."
            )
        names.add(member.name)
        part = Part(source, member)
        if member.name.lower().endswith(".ovf"):
            descriptors.append(member)
        elif packing.kind_of(part.read(0, 8)) in packing.MAGICS:
            inner: Source = packing.ends(packing.Unpacked(part, rules, f"disk {member.name[:200]}"))
            virtual_size = _disk_size(inner, virtual_size)
        else:
            virtual_size = _disk_size(part, virtual_size)
    if len(descriptors) != 1:
        raise FormatRefused(f"The OVA has {len(descriptors)} OVF descriptors, and one belongs into it.")
    _check_references(source, descriptors[0], names)
    return Inspected("ova", virtual_size)


def _disk_size(source: Source, before: int | None) -> int | None:
    """The size of the package's first disk that says its size."""
    found = disks.detect(source)
    if found == disks.RAW:
        return before
    size = disks.virtual_size(found, source)
    return size if before is None else before


def _check_references(source: Source, descriptor: Member, names: set[str]) -> None:
    if descriptor.size > _LARGEST_DOCUMENT:
        raise FormatRefused(f"The OVF descriptor has {descriptor.size} bytes; at most {_LARGEST_DOCUMENT} are taken.")
    text = Part(source, descriptor).whole()
    if b"<!ENTITY" in text or b"<!DOCTYPE" in text:
        raise FormatRefused("The OVF descriptor declares XML entities, which are not accepted.")
    for href in _HREF.findall(text):
        name = href.decode("utf-8", "replace")
        if name not in names:
            raise FormatRefused(
                f"The OVF descriptor names {name[:200]!r}, which the package does not hold. "
                "Export the package with its files."
            )


def check_rootfs(source: Source, rules: Rules) -> Inspected:
    """A root file system: a tar, packed or not, or a squashfs."""
    head = source.read(0, 8)
    if head.startswith(_SQUASHFS):
        return _check_squashfs(source)
    packed = packing.kind_of(head) is not None
    stream: Stream = packing.Unpacked(source, rules, "root file system") if packed else Forwards(source)
    total = names = 0
    outward: set[str] = set()
    for member in Tar(stream, _MOST_IN_ROOTFS):
        name = member.name.rstrip("/")
        if escapes(name) or (member.kind == "hard link" and escapes(member.target.removeprefix("./"))):
            raise FormatRefused(
                f"The root file system has a member that lies outside of it: {name[:200]!r}. "
                "Pack it again with relative names: tar -C FOLDER -c ."
            )
        if _leads_out(name, outward):
            raise FormatRefused(
                f"The root file system has {name[:200]!r} behind a symbolic link that leads out of it. Pack it again."
            )
        if member.kind == "symbolic link" and (
            member.target.startswith("/") or escapes(posixpath.join(posixpath.dirname(name), member.target))
        ):
            names += len(name)
            outward.add(name)
        total += member.unpacked
        if total > rules.unpacked_bytes or names > _MOST_NAMES:
            raise FormatRefused(
                f"The root file system unpacks to more than is accepted ({rules.unpacked_bytes} bytes, and "
                f"{_MOST_NAMES} characters of links' names)."
            )
    while stream.skip(_STEP):
        pass  # so that all of packed data is counted, and known to be whole
    return Inspected("rootfs", total)


def _leads_out(name: str, outward: set[str]) -> bool:
    """Whether one of the folders above `name` is a link out of the tree."""
    if not outward:
        return False
    at = name.find("/")
    while at > 0:
        if name[:at] in outward:
            return True
        at = name.find("/", at + 1)
    return False


def _check_squashfs(source: Source) -> Inspected:
    inodes, _, block, _, compressor, log = fields(source, "<IIIIHH", 4, "squashfs")
    major, minor = fields(source, "<HH", 28, "squashfs")
    (used,) = fields(source, "<Q", 40, "squashfs")
    if (major, minor) != (4, 0) or not 1 <= compressor <= 6 or not 12 <= log <= 20 or block != 1 << log:
        raise FormatRefused("The squashfs superblock is malformed, or not of version 4.0. Make it with mksquashfs.")
    if used > source.size or inodes > _SQUASHFS_INODES:
        raise FormatRefused(
            f"The squashfs says that it has {used} bytes and {inodes} inodes, and the data has {source.size} bytes. "
            "Upload all of it."
        )
    return Inspected("rootfs", None)
