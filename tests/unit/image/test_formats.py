"""Disk formats are told by their bytes; hostile headers are refused and never raise anything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.image.formats import DISK_FORMATS, FormatRefused, Inspected, detect, inspect_disk


def qcow2(version: int = 3, backing: int = 0, features: int = 0, size: int = 1 << 30) -> bytes:
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, 0, 16, size)
    return (head + bytes(72 - len(head)) + struct.pack(">Q", features)).ljust(4096, b"\0")


def vmdk(kind: str = "monolithicSparse", extent: str = "disk.vmdk", sectors: int = 2048) -> bytes:
    text = f'# Disk DescriptorFile\ncreateType="{kind}"\nRW 2048 SPARSE "{extent}"\n'.encode()
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, sectors, 128, 1, 20)
    return head.ljust(512, b"\0") + text.ljust(20 * 512, b"\0")


def placed(offset: int, signature: bytes) -> bytes:
    return (bytes(offset) + signature).ljust(70000, b"\0")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "raw"),
        (b"anything at all", "raw"),
        (qcow2(), "qcow2"),
        (vmdk(), "vmdk"),
        (b"# Disk DescriptorFile\n", "vmdk"),
        (b"conectix", "vhd"),
        (b"vhdxfile", "vhdx"),
        (placed(0x40, b"\x7f\x10\xda\xbe"), "vdi"),
        (placed(0x8001, b"CD001"), "iso"),
        (placed(512, b"EFI PART"), "gpt"),
    ],
)
def test_detect(head: bytes, name: str) -> None:
    assert detect(head) == name


def test_sound_images_pass() -> None:
    assert inspect_disk("qcow2", qcow2(), 4096) == Inspected("qcow2", 1 << 30)
    assert inspect_disk("qcow2", qcow2(version=2, features=4), 4096).virtual_size == 1 << 30
    assert inspect_disk("vmdk", vmdk(), 20000).virtual_size == 2048 * 512
    assert inspect_disk("raw", b"boot", 4) == Inspected("raw", 4)
    assert inspect_disk("raw", placed(512, b"EFI PART"), 70000).virtual_size == 70000
    assert inspect_disk("raw", placed(0x8001, b"CD001"), 70000).virtual_size == 70000
    assert inspect_disk("raw", b"LUKS\xba\xbe" + bytes(600), 606).virtual_size == 606
    assert inspect_disk("iso", placed(0x8001, b"CD001"), 70000).format == "iso"
    assert inspect_disk("ami", b"x", 1).virtual_size is None
    assert inspect_disk("vhd", b"disk", 1024, b"conectix".ljust(512, b"\0")).format == "vhd"


@pytest.mark.parametrize(
    ("declared", "head", "reason"),
    [
        ("raw", qcow2(), "the data is qcow2"),
        ("ami", qcow2(), "the data is qcow2"),
        ("raw", b"QED\0", "the data is qed. Convert the data to raw"),
        ("raw", vmdk(), "the data is vmdk"),
        ("qcow2", b"plain", "not qcow2"),
        ("qcow2", vmdk(), "the data is vmdk"),
        ("qcow2", b"", "not qcow2"),
        ("qcow2", b"QFI\xfb", "cut off"),
        ("qcow2", qcow2()[:40], "cut off"),
        ("qcow2", qcow2(version=9), "version 9"),
        ("qcow2", qcow2(backing=200), "backing file"),
        ("qcow2", qcow2(features=4), "another file"),
        ("qcow2", qcow2(features=1 << 40), "features that are not known"),
        ("vmdk", b"# Disk DescriptorFile\n", "names other files"),
        ("vmdk", vmdk(kind="monolithicFlat"), "monolithicFlat"),
        ("vmdk", vmdk(extent="/etc/passwd"), "outside its own file"),
        ("vmdk", vmdk()[:600], "no descriptor"),
        ("iso", b"x", "not iso"),
        ("vhd", b"x", "not vhd"),
    ],
)
def test_what_is_not_declared_or_not_safe_is_refused(declared: str, head: bytes, reason: str) -> None:
    with pytest.raises(FormatRefused, match=reason):
        inspect_disk(declared, head, len(head))


_SIGNED = st.sampled_from(
    [b"QFI\xfb", b"KDMV", b"conectix", b"vhdxfile", b"# Disk DescriptorFile", b"LUKS\xba\xbe", b""]
)


@given(st.sampled_from(DISK_FORMATS), _SIGNED, st.binary(max_size=2048), st.integers(0, 2**64), st.binary(max_size=512))
def test_hostile_headers_are_judged_and_never_break_the_judge(
    declared: str, magic: bytes, rest: bytes, size: int, tail: bytes
) -> None:
    head = magic + rest
    try:
        found = inspect_disk(declared, head, size, tail)
    except FormatRefused:
        return
    assert found.format in (declared, "raw")
    assert found.virtual_size is None or found.virtual_size >= 0


@given(st.integers(1, 2**64 - 1))
def test_no_qcow2_with_a_backing_file_passes(offset: int) -> None:
    with pytest.raises(FormatRefused, match="backing file"):
        inspect_disk("qcow2", qcow2(backing=offset), 4096)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_vmdk_descriptors_anywhere_are_looked_for_only_in_bounds(sectors: int, offset: int, length: int) -> None:
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, sectors, 128, offset, length).ljust(4096, b"\0")
    with pytest.raises(FormatRefused):
        inspect_disk("vmdk", head, len(head))
