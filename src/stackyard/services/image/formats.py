"""What an image's bytes are, looked at and never believed: disk formats by their headers.

Pure functions on the first bytes of an upload. A format that can reach outside its own file (a backing file, an
external data file, a VMDK extent somewhere else) is refused, because whoever opens it later would open that too.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")

HEAD_BYTES = 1 << 16
"""How much of an image's beginning the inspection needs."""

_OPAQUE = frozenset({"ami", "ari", "aki", "ploop"})
"""Declared formats that have no header to look for."""

_PLAIN = frozenset({"raw", "gpt", "iso", "luks"})
"""What raw disks look like: nothing known, a partition table, a bootable CD, an encrypted volume."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"conectix", "vhd"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"QED\0", "qed"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x8001, b"CD001", "iso"),
    (512, b"EFI PART", "gpt"),
)

_QCOW2_DATA_FILE = 1 << 2
_QCOW2_KNOWN_FEATURES = 0b11111
_VMDK_TYPES = frozenset({"monolithicsparse", "streamoptimized"})
_VMDK_DESCRIPTOR_LIMIT = 1 << 15
_VHD_FOOTER_BYTES = 512


class FormatRefused(Exception):
    """The bytes are not what was declared, or not safe to open; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the inspection found; `virtual_size` in bytes is what a guest would see, None when not known."""

    format: str
    virtual_size: int | None


def detect(head: bytes) -> str:
    """The disk format whose signature `head` carries; raw when none does."""
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    return "raw"


def inspect_disk(declared: str, head: bytes, size: int, tail: bytes = b"") -> Inspected:
    """Check an image of `size` bytes that begins with `head` (and ends with `tail`) against its declared disk format.

    Raises FormatRefused.
    """
    found = detect(head)
    if found == "raw" and declared == "vhd" and tail[-_VHD_FOOTER_BYTES:].startswith(b"conectix"):
        found = "vhd"  # a fixed-size VHD is the plain disk with a footer
    if declared in _OPAQUE or declared == "raw":
        if found not in _PLAIN:
            other = f"Create the image with disk_format {found}, or convert" if found in DISK_FORMATS else "Convert"
            raise FormatRefused(
                f"The image's disk_format is {declared}, but the data is {found}. {other} the data to {declared}."
            )
        return Inspected("raw", size if declared == "raw" else None)
    if found != declared:
        raise FormatRefused(
            f"The image's disk_format is {declared}, but the data is {'not' if found == 'raw' else found + ', not'} "
            f"{declared}. Upload {declared} data, or create the image with the format that the data has."
        )
    return Inspected(found, _virtual_size(found, head))


def _virtual_size(found: str, head: bytes) -> int | None:
    if found == "qcow2":
        return _inspect_qcow2(head)
    if found == "vmdk":
        return _inspect_vmdk(head)
    if found == "vdi":
        return _unpack("<Q", head, 0x170, "vdi")
    return None


def _unpack(layout: str, head: bytes, offset: int, name: str) -> int:
    try:
        return int(struct.unpack_from(layout, head, offset)[0])
    except struct.error:
        raise FormatRefused(f"The {name} header is cut off: the image has only {len(head)} bytes.") from None


def _inspect_qcow2(head: bytes) -> int:
    version = _unpack(">I", head, 4, "qcow2")
    if version not in (2, 3):
        raise FormatRefused(f"The image is qcow2 of version {version}; versions 2 and 3 are accepted.")
    if _unpack(">Q", head, 8, "qcow2"):
        raise FormatRefused(
            "The qcow2 image has a backing file, which could be any file of the host. "
            "Write it out whole: qemu-img convert -O qcow2 IN OUT."
        )
    features = _unpack(">Q", head, 72, "qcow2") if version == 3 else 0
    if features & _QCOW2_DATA_FILE:
        raise FormatRefused(
            "The qcow2 image keeps its data in another file, which could be any file of the host. "
            "Write it out whole: qemu-img convert -O qcow2 IN OUT."
        )
    if features & ~_QCOW2_KNOWN_FEATURES:
        raise FormatRefused(f"The qcow2 image needs features that are not known here (bits {features:#x}).")
    return _unpack(">Q", head, 24, "qcow2")


def _inspect_vmdk(head: bytes) -> int | None:
    if not head.startswith(b"KDMV"):
        raise FormatRefused(
            "The VMDK is a descriptor that names other files as its extents. "
            "Upload one of the kinds monolithicSparse or streamOptimized."
        )
    sectors = _unpack("<Q", head, 12, "vmdk")
    offset = _unpack("<Q", head, 28, "vmdk") * 512
    length = _unpack("<Q", head, 36, "vmdk") * 512
    if not 512 <= offset < HEAD_BYTES or not 0 < length <= _VMDK_DESCRIPTOR_LIMIT or offset + length > len(head):
        raise FormatRefused("The VMDK has no descriptor where its header says, or one that is too long.")
    text = head[offset : offset + length].split(b"\0", 1)[0].decode("latin-1")
    kind = re.search(r'^createType\s*=\s*"([^"]*)"', text, re.MULTILINE)
    if kind is None or kind[1].lower() not in _VMDK_TYPES:
        raise FormatRefused(
            f"The VMDK is of the kind {kind[1] if kind else '(none)'}; monolithicSparse and streamOptimized "
            "are accepted, because the others name further files."
        )
    extents = re.findall(r'^(?:RW|RDONLY|NOACCESS)\s+\d+\s+\w+\s+"([^"]*)"', text, re.MULTILINE)
    if len(extents) != 1 or "/" in extents[0] or "\\" in extents[0]:
        raise FormatRefused("The VMDK names an extent outside its own file.")
    return sectors * 512
