"""VMware's VMDK: only the kinds that keep everything in the one file pass, and only with a descriptor that says so."""

from __future__ import annotations

import re

from stackyard.services.image.formats.source import FormatRefused, Source, fields

MAGIC = b"KDMV"
MAGIC_ESX = b"COWD"

_KINDS = frozenset({"monolithicsparse", "streamoptimized"})
_SECTOR = 512
_LARGEST_DESCRIPTOR = 1 << 20
_TEXT_BYTES = 1 << 16
_AT_END = 0xFFFFFFFFFFFFFFFF
_FOOTER_BYTES = 3 * _SECTOR
_MARKER_FOOTER = 3
_HEADER = "<4sIIQQQQIQQ"

_EXTENT = re.compile(r'(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)(?:\s+"([^"]*)")?(?:\s+\d+)?', re.IGNORECASE)
_FIELD = re.compile(r"([\w.]+)\s*=\s*(.*)")
_TYPE = re.compile(r'createType\s*=\s*"([^"]{0,63})"', re.IGNORECASE)
_CONVERT = "Convert it: qemu-img convert -O vmdk -o subformat=streamOptimized IN OUT."


def is_descriptor(head: bytes) -> bool:
    """Whether data begins with a descriptor as text, by VMware's first line or by what QEMU and oslo.utils look for."""
    if head[:512].lstrip().lower().startswith(b"# disk descriptorfile"):
        return True
    text = head[:_TEXT_BYTES].split(b"\0", 1)[0]
    if not re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]*", text[:4096]):
        return False
    if b'createtype="' in text.lower():
        return True
    for line in text.splitlines()[:1000]:
        stripped = line.strip().lower()
        if stripped and not stripped.startswith(b"#"):
            return re.match(rb"version\s*=|createtype\s*=|encoding\s*=|cid\s*=\s*[0-9a-f]{1,8}$", stripped) is not None
    return False


def virtual_size(source: Source) -> int:
    """The size of the disk in bytes. Raises FormatRefused for what is malformed or names any other file."""
    head = source.read(0, _TEXT_BYTES)
    if head.startswith(MAGIC_ESX):
        raise FormatRefused(f"The VMDK is of the kind vmfsSparse, which belongs to a descriptor elsewhere. {_CONVERT}")
    if not head.startswith(MAGIC):
        kind = _TYPE.search(head.split(b"\0", 1)[0].decode("latin-1"))
        raise FormatRefused(
            f"The VMDK is a descriptor (of the kind {kind[1] if kind else 'unknown'}) that names other files as its "
            f"extents. {_CONVERT}"
        )
    found = fields(source, _HEADER, 0, "vmdk")
    version, sectors, offset, length, directory = found[1], found[3], found[5], found[6], found[9]
    if version not in (1, 2, 3):
        raise FormatRefused(f"The VMDK header is malformed: version {version}. {_CONVERT}")
    if not 0 < sectors < 1 << 54:
        # With no sectors of its own, a reader takes the descriptor for one that names other files.
        raise FormatRefused(f"The VMDK header is malformed: it has {sectors} sectors. {_CONVERT}")
    if offset != 1 or not 0 < length * _SECTOR <= _LARGEST_DESCRIPTOR:
        raise FormatRefused(
            f"The VMDK has no descriptor where one belongs, but one of {length} sectors at sector {offset}. {_CONVERT}"
        )
    if directory == _AT_END:
        _check_footer(source, found)
    _check_descriptor(source.read(_SECTOR, length * _SECTOR), length * _SECTOR)
    return int(sectors) * _SECTOR


def _check_footer(source: Source, header: tuple[object, ...]) -> None:
    """A footer takes the header's place for readers, so it must say the same."""
    start = source.size - _FOOTER_BYTES
    footer = fields(source, _HEADER, start + _SECTOR, "vmdk")
    if start < _SECTOR or footer[:7] != header[:7] or footer[9] == _AT_END:
        raise FormatRefused(f"The VMDK's footer and header do not say the same. {_CONVERT}")
    for offset, kind in ((start, _MARKER_FOOTER), (start + 2 * _SECTOR, 0)):
        size, marker = fields(source, "<8xII", offset, "vmdk")
        if size or marker != kind or any(source.read(offset + 16, _SECTOR - 16)):
            raise FormatRefused(f"The VMDK's footer is malformed. {_CONVERT}")


def _check_descriptor(data: bytes, length: int) -> None:
    if len(data) < length:
        raise FormatRefused("The VMDK is cut off in its descriptor. Upload the whole file.")
    raw = data.split(b"\0", 1)[0]
    if not raw.isascii():
        raise FormatRefused(f"The VMDK's descriptor is not plain text. {_CONVERT}")
    text = raw.decode("ascii")
    kinds: list[str] = []
    extents: list[tuple[str, str]] = []
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        extent, field = _EXTENT.fullmatch(line), _FIELD.fullmatch(line)
        if extent is not None:
            extents.append((extent[1].lower(), extent[2] or ""))
        elif field is None:
            raise FormatRefused(f"The VMDK's descriptor has a line that is not known here: {line[:80]!r}. {_CONVERT}")
        elif field[1].lower() == "createtype":
            kinds.append(field[2].strip('"'))
        elif field[1].lower() == "parentfilenamehint" or (
            field[1].lower() == "parentcid" and field[2].lower() != "ffffffff"
        ):
            raise FormatRefused(f"The VMDK has a parent, which could be any file of the host. {_CONVERT}")
    if [kind.lower() in _KINDS for kind in kinds] != [True]:
        raise FormatRefused(
            f"The VMDK is of the kind {', '.join(kinds)[:80] or '(none)'}; monolithicSparse and streamOptimized are "
            f"accepted, because the others name further files. {_CONVERT}"
        )
    if len(extents) != 1 or extents[0][0] != "sparse" or re.search(r"[/\\]|^\.\.?$", extents[0][1]):
        raise FormatRefused(f"The VMDK names an extent outside its own file. {_CONVERT}")
