"""What a disk's bytes are: every format whose signature they carry, and what the simpler ones say of themselves."""

from __future__ import annotations

from collections.abc import Callable

from stackyard.services.image.formats import hyperv, qcow2, vmdk
from stackyard.services.image.formats.source import FormatRefused, Source, fields

HEAD_BYTES = 1 << 17
"""How much of the beginning is looked at for signatures."""

RAW = "raw"
"""What data is called that carries no signature."""

PLAIN = frozenset({RAW, "gpt", "iso", "luks"})
"""What raw disks look like: nothing known, a partition table, a bootable CD, an encrypted volume."""

_VDI_MAGIC = b"\x7f\x10\xda\xbe"
_PLOOP_MAGICS = (b"WithoutFreeSpace", b"WithouFreSpacExt")
_VDI_DYNAMIC, _VDI_STATIC = 1, 2
_ISO_BLOCK = 2048
_ISO_START = 16 * _ISO_BLOCK
_ISO_IDS = (b"CD001", b"BEA01", b"NSR02", b"NSR03")
_FIXED_DISK = 0xF8


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _is_partitioned(head: bytes) -> bool:
    """An MBR or GPT; a FAT file system has the same last bytes, and other ones before."""
    if head[512:520] == b"EFI PART" or head[4096:4104] == b"EFI PART":
        return True
    fat = head[16:17] == b"\x02" and head[21:22] == bytes([_FIXED_DISK])
    return head[510:512] == b"\x55\xaa" and not fat


_PROBES: dict[str, Callable[[bytes], bool]] = {
    "qcow2": _starts(qcow2.MAGIC),
    "qed": _starts(b"QED\0"),
    "vmdk": lambda head: head.startswith((vmdk.MAGIC, vmdk.MAGIC_ESX)) or vmdk.is_descriptor(head),
    "vhd": _starts(hyperv.VHD_COOKIE),
    "vhdx": _starts(hyperv.VHDX_MAGIC),
    "vdi": lambda head: head[0x40:0x44] == _VDI_MAGIC,
    "luks": _starts(b"LUKS\xba\xbe"),
    "ploop": _starts(*_PLOOP_MAGICS),
    "iso": lambda head: head[_ISO_START + 1 : _ISO_START + 6] in _ISO_IDS,
    "gpt": _is_partitioned,
}


def signatures(source: Source) -> list[str]:
    """Every format whose signature the data carries."""
    head = source.read(0, HEAD_BYTES)
    found = [name for name, matches in _PROBES.items() if matches(head)]
    if "vhd" not in found and hyperv.is_footer(source.read(max(0, source.size - 512), 512)):
        # A fixed-size VHD is the plain disk, with its partition table, and a footer.
        found = [*(name for name in found if name != "gpt"), "vhd"]
    return found


def detect(source: Source) -> str:
    """The one format that the data is, raw when it carries no signature.

    Raises FormatRefused for data that is several at once: whoever opens it later might take it for another than was
    looked at here.
    """
    found = signatures(source)
    if found == ["iso", "gpt"]:
        return "iso"  # a CD that boots from a USB stick as well
    if len(found) > 1:
        raise FormatRefused(
            f"The data is of several formats at once ({', '.join(found)}), so that programs would take it for "
            "different things. Convert it to one format: qemu-img convert -f FORMAT -O qcow2 IN OUT."
        )
    return found[0] if found else RAW


def virtual_size(found: str, source: Source) -> int | None:
    """The size of the disk in bytes as a guest would see it, None where the format does not say.

    Raises FormatRefused for what is malformed or not safe to open.
    """
    return _SIZES[found](source)


def _banned(source: Source) -> int | None:
    raise FormatRefused(
        f"The data ({source.size} bytes) is a QED disk, which is not accepted. "
        "Convert it: qemu-img convert -f qed -O qcow2 IN OUT."
    )


def _vdi_size(source: Source) -> int:
    (kind,) = fields(source, "<I", 0x4C, "vdi")
    (size,) = fields(source, "<Q", 0x170, "vdi")
    link = fields(source, "<32s", 0x1A8, "vdi")[0]
    if kind not in (_VDI_DYNAMIC, _VDI_STATIC) or any(link):
        raise FormatRefused(
            "The VDI is the difference to another file, which could be any file of the host. "
            "Write it out whole: VBoxManage clonemedium IN OUT."
        )
    if size >= 1 << 63:
        raise FormatRefused(f"The VDI header is malformed: its disk has {size} bytes.")
    return int(size)


def _luks_size(source: Source) -> int | None:
    (version,) = fields(source, ">H", 6, "luks")
    if version == 1:
        (start,) = fields(source, ">I", 104, "luks")
        if start * 512 > source.size:
            raise FormatRefused("The LUKS header is malformed: its data begins past the end. Upload the whole file.")
        return source.size - int(start) * 512
    if version == 2:
        return None  # its segments are described in JSON, and may be anywhere
    raise FormatRefused(f"The LUKS header is malformed: version {version}; 1 and 2 are accepted.")


def _ploop_size(source: Source) -> int:
    layout = "<I" if source.read(0, 16) == _PLOOP_MAGICS[0] else "<Q"
    (sectors,) = fields(source, layout, 36, "ploop")
    if sectors >= 1 << 54:
        raise FormatRefused(f"The ploop header is malformed: its disk has {sectors} sectors.")
    return int(sectors) * 512


def _iso_size(source: Source) -> int | None:
    kind, identifier = fields(source, "<B5s", _ISO_START, "iso")
    if identifier != b"CD001" or kind != 1:
        return None
    (blocks,) = fields(source, "<I", _ISO_START + 80, "iso")
    (block,) = fields(source, "<H", _ISO_START + 128, "iso")
    return int(blocks) * int(block)


_SIZES: dict[str, Callable[[Source], int | None]] = {
    RAW: lambda source: source.size,
    "gpt": lambda source: source.size,
    "qcow2": qcow2.virtual_size,
    "qed": _banned,
    "vmdk": vmdk.virtual_size,
    "vhd": hyperv.vhd_size,
    "vhdx": hyperv.vhdx_size,
    "vdi": _vdi_size,
    "luks": _luks_size,
    "ploop": _ploop_size,
    "iso": _iso_size,
}
