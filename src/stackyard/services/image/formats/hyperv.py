"""Microsoft's VHD and VHDX: refused when they are the difference to a parent, which would be another file."""

from __future__ import annotations

import struct
import uuid

from stackyard.services.image.formats.source import FormatRefused, Source, fields

VHD_COOKIE = b"conectix"
VHDX_MAGIC = b"vhdxfile"

_FOOTER = 512
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_REGION_TABLES = (192 << 10, 256 << 10)
_MOST_ENTRIES = 2047
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_PARENT_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
_HAS_PARENT = 1 << 1


def _no_parent(name: str) -> FormatRefused:
    return FormatRefused(
        f"The {name} is the difference to a parent, which could be any file of the host. "
        f"Merge it with its parent, or convert it: qemu-img convert -O {'vpc' if name == 'VHD' else 'vhdx'} IN OUT."
    )


def _malformed(name: str, what: str) -> FormatRefused:
    return FormatRefused(f"The {name} is malformed: {what}. Check the file with the program that made it.")


def is_footer(data: bytes) -> bool:
    """Whether these 512 bytes are a VHD's footer, by cookie and checksum."""
    if len(data) < _FOOTER or not data.startswith(VHD_COOKIE):
        return False
    stated = int.from_bytes(data[64:68], "big")
    return (~(sum(data[:64]) + sum(data[68:_FOOTER])) & 0xFFFFFFFF) == stated


def vhd_size(source: Source) -> int:
    """The size of a VHD's disk in bytes. Raises FormatRefused for what is malformed or has a parent."""
    head, tail = source.read(0, _FOOTER), source.read(max(0, source.size - _FOOTER), _FOOTER)
    footers = [data for data in (head, tail) if data.startswith(VHD_COOKIE)]
    if not footers or any(len(data) < _FOOTER for data in footers):
        raise _malformed("VHD", "it has no whole footer")
    kinds = {struct.unpack_from(">I", data, 60)[0] for data in footers}
    sizes = {struct.unpack_from(">Q", data, 48)[0] for data in footers}
    if _DIFFERENCING in kinds:
        raise _no_parent("VHD")
    if kinds not in ({_FIXED}, {_DYNAMIC}) or len(sizes) != 1:
        raise _malformed("VHD", "its footer and the copy of it do not say the same, or a kind that is not known")
    size = int(sizes.pop())
    if kinds == {_DYNAMIC}:
        _check_dynamic(source, struct.unpack_from(">Q", footers[0], 16)[0])
    elif size > source.size:
        raise _malformed("VHD", f"its disk has {size} bytes, and the file {source.size}")
    if size >= 1 << 63:
        raise _malformed("VHD", f"its disk has {size} bytes")
    return size


def _check_dynamic(source: Source, offset: int) -> None:
    cookie, parent = fields(source, ">8s32x16s", offset, "VHD dynamic")
    if cookie != b"cxsparse":
        raise _malformed("VHD", "it has no dynamic disk header where its footer says")
    if any(parent) or any(source.read(offset + 64, 512)):
        raise _no_parent("VHD")


def vhdx_size(source: Source) -> int:
    """The size of a VHDX's disk in bytes. Raises FormatRefused for what is malformed or has a parent."""
    regions = {found for table in _REGION_TABLES if (found := _metadata_region(source, table)) is not None}
    if len(regions) != 1:
        raise _malformed("VHDX", "its region tables name no metadata region, or different ones")
    region = regions.pop()
    signature, count = fields(source, "<8sxxH", region, "VHDX metadata")
    if signature != b"metadata" or count > _MOST_ENTRIES:
        raise _malformed("VHDX", "its metadata table is not one")
    size: int | None = None
    for index in range(count):
        kind, offset, length = fields(source, "<16sII", region + 32 + 32 * index, "VHDX metadata")
        if kind == _PARENT_LOCATOR:
            raise _no_parent("VHDX")
        if kind == _PARAMETERS and fields(source, "<II", region + offset, "VHDX parameters")[1] & _HAS_PARENT:
            raise _no_parent("VHDX")
        if kind == _DISK_SIZE and length == 8:
            (size,) = fields(source, "<Q", region + offset, "VHDX size")
    if size is None or size >= 1 << 63:
        raise _malformed("VHDX", "its metadata does not say how large the disk is")
    return size


def _metadata_region(source: Source, table: int) -> int | None:
    """Where a region table says that the metadata is; None when there is no table."""
    data = source.read(table, 16)
    if len(data) < 16 or data[:4] != b"regi":
        return None
    count = struct.unpack_from("<I", data, 8)[0]
    if count > _MOST_ENTRIES:
        raise _malformed("VHDX", f"a region table has {count} entries")
    entries = source.read(table + 16, count * 32)
    for start in range(0, len(entries) - 31, 32):
        kind, offset = struct.unpack_from("<16sQ", entries, start)
        if kind == _METADATA:
            return int(offset)
    return None
