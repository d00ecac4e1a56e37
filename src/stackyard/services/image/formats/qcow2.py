"""QEMU's qcow2: refused when it would make whoever opens it open another file."""

from __future__ import annotations

from stackyard.services.image.formats.source import FormatRefused, Source, fields

MAGIC = b"QFI\xfb"

_DATA_FILE = 1 << 2
_KNOWN_FEATURES = 0b11111
"""Dirty, corrupt, external data file, compression type, extended L2 entries."""

_EXTENSION_END = 0
_EXTENSION_DATA_FILE = 0x44415441
_MOST_EXTENSIONS = 256
_LARGEST_L1 = (32 << 20) // 8
"""QEMU's own limit, in entries."""

_WRITE_WHOLE = "Write it out whole: qemu-img convert -O qcow2 IN OUT."


def virtual_size(source: Source) -> int:
    """The size of the disk in bytes. Raises FormatRefused for what is malformed or reaches outside the file."""
    version, backing, backing_length, cluster_bits, size = fields(source, ">IQIIQ", 4, "qcow2")
    if version not in (2, 3):
        raise FormatRefused(
            f"The image is qcow of version {version}; versions 2 and 3 are accepted. "
            "Convert it: qemu-img convert -O qcow2 IN OUT."
        )
    if backing or backing_length:
        raise FormatRefused(f"The qcow2 image has a backing file, which could be any file of the host. {_WRITE_WHOLE}")
    crypt, l1_size = fields(source, ">II", 32, "qcow2")
    if not 9 <= cluster_bits <= 21 or crypt > 2 or l1_size > _LARGEST_L1 or size >= 1 << 63:
        raise FormatRefused(
            f"The qcow2 header is malformed: cluster bits {cluster_bits}, encryption {crypt}, {l1_size} L1 entries, "
            f"{size} bytes. Check the file: qemu-img check FILE."
        )
    header_length = _check_features(source, cluster_bits) if version == 3 else 72
    _check_extensions(source, header_length, 1 << cluster_bits)
    return int(size)


def _check_features(source: Source, cluster_bits: int) -> int:
    """Look at the bits that a reader must understand; the header's length."""
    (incompatible,) = fields(source, ">Q", 72, "qcow2")
    if incompatible & _DATA_FILE:
        raise FormatRefused(
            f"The qcow2 image keeps its data in another file, which could be any file of the host. {_WRITE_WHOLE}"
        )
    if incompatible & ~_KNOWN_FEATURES:
        raise FormatRefused(
            f"The qcow2 image needs features that are not known here (bits {incompatible & ~_KNOWN_FEATURES:#x}). "
            "Convert it without them: qemu-img convert -O qcow2 IN OUT."
        )
    (length,) = fields(source, ">I", 100, "qcow2")
    if not 104 <= length <= 1 << cluster_bits or length % 8:
        raise FormatRefused(
            f"The qcow2 header is malformed: it says that it has {length} bytes. Check the file: qemu-img check FILE."
        )
    return int(length)


def _check_extensions(source: Source, offset: int, end: int) -> None:
    for _ in range(_MOST_EXTENSIONS):
        data = source.read(offset, 8)
        if len(data) < 8 or offset + 8 > end:
            return
        kind, length = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")
        if kind == _EXTENSION_END:
            return
        if kind == _EXTENSION_DATA_FILE:
            raise FormatRefused(
                f"The qcow2 image names a data file, which could be any file of the host. {_WRITE_WHOLE}"
            )
        offset += 8 + (length + 7) // 8 * 8
        if offset > end:
            raise FormatRefused(
                "The qcow2 header is malformed: a header extension reaches past the first cluster. "
                "Check the file: qemu-img check FILE."
            )
    raise FormatRefused(f"The qcow2 header is malformed: it has more than {_MOST_EXTENSIONS} header extensions.")
