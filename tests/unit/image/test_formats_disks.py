"""Disks as qemu-img makes them pass and give their size, whatever subformat; oslo.utils' inspector says the same."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from oslo_utils.imageutils import format_inspector

from stackyard.services.image.formats import FileSource, FormatRefused, Inspected, Rules, inspect

MIB = 1 << 20


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def look(path: Path, declared: str, container: str = "bare", rules: Rules | None = None) -> Inspected:
    fd = os.open(path, os.O_RDONLY)
    try:
        return inspect(FileSource(fd), declared, container, rules or Rules())
    finally:
        os.close(fd)


def judged_safe(path: Path) -> bool:
    """What oslo.utils says of a file."""
    try:
        found = format_inspector.detect_file_format(str(path))
        assert found is not None
        found.safety_check()
    except (format_inspector.ImageFormatError, format_inspector.SafetyCheckFailed):
        return False
    return True


MADE = [
    ("qcow2", "qcow2", ""),
    ("qcow2", "qcow2", "compat=0.10"),
    ("qcow2", "qcow2", "cluster_size=512"),
    ("qcow2", "qcow2", "cluster_size=2M"),
    ("qcow2", "qcow2", "extended_l2=on,cluster_size=128k"),
    ("qcow2", "qcow2", "compression_type=zstd"),
    ("vmdk", "vmdk", ""),
    ("vmdk", "vmdk", "subformat=monolithicSparse"),
    ("vmdk", "vmdk", "subformat=streamOptimized"),
    ("vmdk", "vmdk", "zeroed_grain=on"),
    ("vhd", "vpc", "force_size=on"),
    ("vhd", "vpc", "subformat=fixed,force_size=on"),
    ("vhdx", "vhdx", ""),
    ("vhdx", "vhdx", "subformat=fixed"),
    ("vhdx", "vhdx", "block_size=1M,log_size=4M"),
    ("vdi", "vdi", ""),
    ("vdi", "vdi", "static=on"),
    ("ploop", "parallels", ""),
    ("raw", "raw", ""),
]


@pytest.mark.parametrize(("declared", "made", "options"), MADE)
def test_what_qemu_img_makes_passes_with_its_size(tmp_path: Path, declared: str, made: str, options: str) -> None:
    path = tmp_path / "disk"
    qemu_img("create", "-q", "-f", made, *(["-o", options] if options else []), path, 17 * MIB)
    assert look(path, declared) == Inspected(declared, 17 * MIB)
    if declared != "ploop" and "extended_l2" not in options:
        assert judged_safe(path)
    for other in ("qcow2", "vmdk", "vdi", "raw"):
        if other != declared and declared != "raw":
            with pytest.raises(FormatRefused, match=f"disk_format is {other}, but the data is {declared}"):
                look(path, other)


def test_converted_disks_with_content_pass(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(3 * MIB))
    for declared, made in (("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vhd", "vpc")):
        path = tmp_path / made
        options = ["-o", "force_size=on"] if made == "vpc" else []
        qemu_img("convert", "-f", "raw", "-O", made, *options, raw, path)
        assert look(path, declared).virtual_size == 3 * MIB
    packed = tmp_path / "stream"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, packed)
    assert look(packed, "vmdk").virtual_size == 3 * MIB


def test_a_qcow2_with_a_backing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", path, MIB)
    assert not judged_safe(path)
    for declared in ("qcow2", "raw", "vmdk"):  # CVE-2024-32498: also what is declared as something else
        with pytest.raises(FormatRefused, match="backing file, which could be any file of the host"):
            look(path, declared)


def test_a_qcow2_with_a_data_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    options = f"data_file={tmp_path / 'elsewhere'},data_file_raw=on"
    qemu_img("create", "-q", "-f", "qcow2", "-o", options, path, MIB)
    assert not judged_safe(path)
    with pytest.raises(FormatRefused, match="keeps its data in another file"):
        look(path, "qcow2")
    header = bytearray(path.read_bytes())
    header[79] &= ~4  # CVE-2024-32498: the name alone, with the bit that says so taken away
    path.write_bytes(header)
    with pytest.raises(FormatRefused, match="names a data file"):
        look(path, "qcow2")


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_vmdks_of_several_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", "-o", f"subformat={kind}", path, MIB)
    assert not judged_safe(path)
    for declared in ("vmdk", "raw"):  # CVE-2022-47951
        with pytest.raises(FormatRefused, match=f"descriptor .of the kind {kind}. that names other files"):
            look(path, declared)


def test_a_vmdk_with_a_parent_is_refused(tmp_path: Path) -> None:
    parent, path = tmp_path / "parent.vmdk", tmp_path / "child.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", parent, MIB)
    qemu_img("create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", parent, path)
    with pytest.raises(FormatRefused, match="has a parent"):
        look(path, "vmdk")


def test_old_and_unloved_formats_are_refused(tmp_path: Path) -> None:
    qed, qcow = tmp_path / "qed", tmp_path / "qcow"
    qemu_img("create", "-q", "-f", "qed", qed, MIB)
    qemu_img("create", "-q", "-f", "qcow", qcow, MIB)
    with pytest.raises(FormatRefused, match="QED disk"):
        look(qed, "raw")
    with pytest.raises(FormatRefused, match="qcow of version 1"):
        look(qcow, "qcow2")


def partitioned(gpt: bool) -> bytes:
    """A disk of 4 MiB with one partition."""
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE if gpt else 0x83, b"\xff\xff\xff", 1, 8191)
    disk = bytearray(4 * MIB)
    disk[446:462] = entry
    disk[510:512] = b"\x55\xaa"
    if gpt:
        disk[512:520] = b"EFI PART"
    return bytes(disk)


def cd(bootable: bool) -> bytes:
    """A CD of 300 blocks, written so that it boots from a USB stick as well."""
    disk = bytearray(partitioned(gpt=True)[: 300 * 2048] if bootable else bytes(300 * 2048))
    disk[0x8000:0x8006] = b"\x01CD001"
    struct.pack_into("<I", disk, 0x8000 + 80, 300)
    struct.pack_into("<H", disk, 0x8000 + 128, 2048)
    return bytes(disk)


@pytest.mark.parametrize("gpt", [False, True])
def test_partitioned_disks_are_raw(tmp_path: Path, gpt: bool) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(partitioned(gpt))
    assert look(disk, "raw") == Inspected("raw", 4 * MIB)
    assert look(disk, "gpt") == Inspected("gpt", 4 * MIB)
    assert look(disk, "ami") == Inspected("raw", None)
    assert judged_safe(disk)


@pytest.mark.parametrize("bootable", [False, True])
def test_cds(tmp_path: Path, bootable: bool) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(cd(bootable) + b"appended")
    assert look(disk, "iso") == Inspected("iso", 300 * 2048)
    assert look(disk, "raw").virtual_size == 300 * 2048 + 8


def test_mismatches_may_be_allowed_but_what_is_unsafe_may_not(tmp_path: Path) -> None:
    path, lax = tmp_path / "disk", Rules(require_match=False)
    qemu_img("create", "-q", "-f", "qcow2", path, MIB)
    assert look(path, "vmdk", rules=lax) == Inspected("qcow2", MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", path, MIB)
    with pytest.raises(FormatRefused, match="backing file"):
        look(path, "vmdk", rules=lax)


def test_a_disk_named_ovf_as_was_the_custom_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    qemu_img("create", "-q", "-f", "qcow2", path, MIB)
    assert look(path, "qcow2", "ovf") == Inspected("qcow2", MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", path, MIB)
    for container in ("ovf", "ami", "bare"):
        with pytest.raises(FormatRefused, match="backing file"):
            look(path, "qcow2", container)
