"""Archives: engine images, OVA packages and root file systems pass as real programs write them; hostile ones do not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.image.test_formats_hostile import SMALL, Bytes, look, placed, qcow2, vmdk

from stackyard.services.image.formats import FormatRefused, Inspected, Rules
from stackyard.services.image.formats.tars import Forwards, Tar

Entry = bytes | tuple[bytes, str]
LINK, HARD, DEVICE, PIPE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE


def archive(files: dict[str, Entry], layout: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar; an entry that is no content is a kind of member and what it points to."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=layout) as tar:
        for name, entry in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(entry, bytes):
                info.size = len(entry)
                tar.addfile(info, io.BytesIO(entry))
            else:
                info.type, info.linkname = entry
                tar.addfile(info)
    return target.getvalue()


DOCKER: dict[str, Entry] = {
    "abc/layer.tar": b"x" * 1000,
    "config.json": b"{}",
    "manifest.json": json.dumps([{"Config": "config.json", "Layers": ["abc/layer.tar"], "RepoTags": ["a:b"]}]).encode(),
}
OCI: dict[str, Entry] = {
    "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
    "index.json": json.dumps({"manifests": [{"digest": "sha256:00"}]}).encode(),
    "blobs/sha256/00": b"{}",
}
OVF = b'<?xml version="1.0"?><Envelope xmlns="x"><References><File ovf:href="disk.vmdk"/></References></Envelope>'
OVA: dict[str, Entry] = {"x.ovf": OVF, "disk.vmdk": vmdk(), "x.mf": b"SHA256(x.ovf)= 00\n"}
ROOTFS: dict[str, Entry] = {
    "./bin": (LINK, "usr/bin"),
    "./usr/bin/sh": b"#!",
    "./etc/mtab": (LINK, "/proc/self/mounts"),
    "./usr/bin/hard": (HARD, "./usr/bin/sh"),
    "./dev/null": (DEVICE, ""),
    "./run/pipe": (PIPE, ""),
}
LAYOUTS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]
PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd.compress}


def refusal(data: bytes, container: str = "docker", rules: Rules = SMALL) -> str | None:
    """Why data is refused; None when it passes; whatever else is raised fails the test."""
    try:
        look("raw", data, container, rules)
    except FormatRefused as error:
        return str(error)
    return None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_engine_images_pass(layout: int) -> None:
    assert look("raw", archive(DOCKER, layout), "docker") == Inspected("docker", None)
    look("raw", archive(OCI, layout), "docker")
    look("raw", archive({f"./{name}": content for name, content in DOCKER.items()}, layout), "docker")
    look("raw", archive(DOCKER | {"abc/other.tar": (LINK, "../abc/layer.tar")}, layout), "docker")
    look("raw", archive(OCI | {"blobs/sha256/11": gzip.compress(b"layer" * 1000)}, layout), "docker")


@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_long_and_foreign_names_are_read(layout: int) -> None:
    names = ["d/" * 80 + "file", "é" * 90, "plain"]
    data = archive(dict.fromkeys(names, b"1234"), layout)
    found = list(Tar(Forwards(Bytes(data)), 10))
    assert [member.name for member in found] == names
    assert all(data[member.offset : member.offset + member.size] == b"1234" for member in found)


def without(name: str) -> dict[str, Entry]:
    return {key: value for key, value in DOCKER.items() if key != name}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a tar"),
        (b"junk", "not a tar"),
        (b"junk" * 1000, "not a tar"),
        (archive({"file": b"x"}), "neither a manifest.json"),
        (archive(without("config.json")), "lacks config.json"),
        (archive(DOCKER | {"manifest.json": b"{"}), "not valid JSON"),
        (archive(DOCKER | {"manifest.json": b"[]"}), "not a list of images"),
        (archive(DOCKER | {"manifest.json": b"[1]"}), "without a Config"),
        (archive(DOCKER | {"manifest.json": b'[{"Config": "config.json", "Layers": 1}]'}), "Layers"),
        (archive(DOCKER | {"manifest.json": b" " * (5 << 20)}), "at most"),
        (archive(OCI | {"index.json": b"[]"}), "names no manifest"),
        (archive(OCI | {"index.json": b'{"manifests": [{"digest": "sha256:11"}]}'}), "does not hold"),
        (archive(DOCKER)[:1200], "cut off"),
        (gzip.compress(archive(DOCKER), mtime=0), "compressed"),
        (archive(DOCKER | {"../../etc/cron.d/x": b"x"}), "lies outside of it: '../../etc/cron.d/x'"),
        (archive(DOCKER | {"/etc/passwd": b"x"}), "lies outside of it"),
        (archive(DOCKER | {"abc/x": (LINK, "/etc/passwd")}), "a symbolic link to '/etc/passwd'"),
        (archive(DOCKER | {"abc/x": (LINK, "../../x")}), "a symbolic link to '../../x'"),
        (archive(DOCKER | {"abc/x": (HARD, "../x")}), "a hard link to"),
        (archive(DOCKER | {"abc/x": (DEVICE, "")}), "has a device"),
    ],
)
def test_other_engine_images_are_refused(data: bytes, reason: str) -> None:
    assert reason in (refusal(data) or "passed")


def test_packages_pass_with_the_size_of_their_disk() -> None:
    assert look("vmdk", archive(OVA), "ova") == Inspected("ova", 2048 * 512)
    assert look("vmdk", archive(OVA, tarfile.USTAR_FORMAT), "ovf") == Inspected("ova", 2048 * 512)
    assert look("vmdk", archive(OVA | {"disk.vmdk": gzip.compress(vmdk())}), "ova").virtual_size == 2048 * 512
    assert look("vmdk", OVF, "ovf") == Inspected("ovf", None)
    with pytest.raises(FormatRefused, match="the data is iso"):
        look("vmdk", OVF.ljust(0x8001, b" ") + b"CD001".ljust(4096, b"\0"), "ovf")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"../x": b"x"}, "only files without folders"),
        ({"/x": b"x"}, "only files without folders"),
        ({"folder/x": b"x"}, "only files without folders"),
        ({"x": (LINK, "/etc/passwd")}, "a symbolic link"),
        ({"x": (HARD, "disk.vmdk")}, "a hard link"),
        ({"y.ovf": OVF}, "2 OVF descriptors"),
        ({"disk.vmdk": vmdk(kind="monolithicFlat")}, "monolithicFlat"),
        ({"disk.vmdk": qcow2(backing=8)}, "backing file"),
        ({"more.vmdk": gzip.compress(qcow2(backing=8))}, "backing file"),
        ({"more.vmdk": gzip.compress(bytes(2 << 20))}, "unpacks to more than"),
        ({"x.ovf": OVF.replace(b"disk.vmdk", b"../../etc/passwd")}, "names '../../etc/passwd'"),
        ({"x.ovf": OVF.replace(b"disk.vmdk", b"http://host/disk")}, "names 'http://host/disk'"),
        ({"x.ovf": b"<!DOCTYPE a [<!ENTITY x 'y'>]>" + OVF}, "XML entities"),
        ({f"f{number}": b"" for number in range(1001)}, "more members than are accepted"),
    ],
)
def test_other_packages_are_refused(more: dict[str, Entry], reason: str) -> None:
    assert reason in (refusal(archive(OVA | more), "ova") or "passed")


@pytest.mark.parametrize("packer", [None, *PACKERS])
def test_root_file_systems_pass(packer: str | None) -> None:
    data = archive(ROOTFS)
    assert look("raw", PACKERS[packer](data) if packer else data, "rootfs") == Inspected("rootfs", 2)


SQUASHFS = (
    b"hsqs" + (5).to_bytes(4, "little") + bytes(4) + (1 << 17).to_bytes(4, "little") + bytes(4)
    + b"\4\0\x11\0\0\0\1\0\4\0\0\0" + bytes(8) + (4096).to_bytes(8, "little")
).ljust(4096, b"\0")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive(ROOTFS | {"../x": b"x"}), "lies outside of it: '../x'"),
        (archive(ROOTFS | {"/x": b"x"}), "lies outside of it"),
        (archive(ROOTFS | {"x": (HARD, "/etc/shadow")}), "lies outside of it"),
        (archive(ROOTFS | {"out": (LINK, "/etc"), "out/passwd": b"x"}), "'out/passwd' behind a symbolic link"),
        (archive(ROOTFS | {"a/out": (LINK, "../.."), "a/out/x": b"x"}), "behind a symbolic link"),
        (archive(ROOTFS | {"large": bytes(2 << 20)}), "unpacks to more than"),
        (gzip.compress(archive(ROOTFS))[:-20], "cut off"),
        (b"no tar", "not a tar"),
        (SQUASHFS[:1000], "says that it has 4096 bytes"),
        (SQUASHFS.replace(b"\x11\0", b"\x12\0", 1), "malformed"),
        (b"PK\x03\x04" + bytes(100), "packed by zip"),
    ],
)
def test_other_root_file_systems_are_refused(data: bytes, reason: str) -> None:
    assert reason in (refusal(data, "rootfs") or "passed")


def test_a_squashfs_passes() -> None:
    assert look("raw", SQUASHFS, "rootfs") == Inspected("rootfs", None)


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_disks_are_looked_into(packer: str) -> None:
    pack = PACKERS[packer]
    assert look("qcow2", pack(qcow2()), "compressed") == Inspected("qcow2", 1 << 30)
    assert look("raw", pack(b"one") + pack(b"two"), "compressed") == Inspected("raw", 6)
    assert look("raw", pack(b"one") + bytes(8), "compressed") == Inspected("raw", 3)
    assert look("raw", pack(b""), "compressed") == Inspected("raw", 0)
    for data, reason in (
        (pack(qcow2(backing=8)), "backing file"),
        (pack(pack(b"x" * 100)), "packed twice"),
        (pack(bytes(8 << 20)), "unpacks to more than the 1048576 that are allowed"),
        (pack(bytes(1 << 19)) + pack(bytes(1 << 20)), "unpacks to more than"),
        (pack(b"one" * 1000)[:-3], "cut off"),
        (pack(b"one") + b"and something else", "followed by something else"),
        (pack(bytes(range(256)) * 20)[:12] + b"\xff" * 100, "sound"),
    ):
        found = refusal(data, "compressed")
        assert found is not None
        assert reason in found or (reason == "sound" and "cut off" in found), found


def test_what_is_not_packed_in_a_known_way_is_refused() -> None:
    assert "not packed" in (refusal(b"plain", "compressed") or "")
    assert "packed by zip" in (refusal(b"PK\x03\x04" + bytes(100), "compressed") or "")
    assert "not packed" in (refusal(b"", "compressed") or "")


def test_windows_that_take_much_memory_are_refused() -> None:
    large = _claiming(lzma.compress(b"x"))
    assert "not sound xz" in (refusal(large, "compressed") or "passed")
    options = {zstd.CompressionParameter.window_log: 30, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    long = compressor.compress(b"x" * 100) + compressor.flush()
    assert "not sound zstd" in (refusal(long, "compressed") or "passed")


def _claiming(data: bytes) -> bytes:
    """An xz stream whose header asks for a dictionary of 4 GiB."""
    import struct
    import zlib

    size = (data[12] + 1) * 4
    header = bytearray(data[12 : 12 + size])
    at = header.index(b"\x21\x01") + 2
    header[at] = 40
    header[-4:] = struct.pack("<I", zlib.crc32(bytes(header[:-4])))
    return data[:12] + bytes(header) + data[12 + size :]


@pytest.mark.parametrize("packer", PACKERS)
def test_bombs_are_refused_soon(packer: str) -> None:
    rules = Rules(unpacked_bytes=64 << 30, unpacked_free=16 << 20)
    bomb = PACKERS[packer](bytes(64 << 20))
    started = time.monotonic()
    for container, data in (("compressed", bomb), ("docker", archive(OCI | {"blobs/sha256/11": bomb}))):
        assert "unpacks to more than" in (refusal(data, container, rules) or "passed")
    assert time.monotonic() - started < 10


def test_many_members_are_not_walked_for_ever() -> None:
    one = archive({"f": b""})[:512]
    started = time.monotonic()
    assert "more members" in (refusal(one * 100_000) or "passed")
    assert time.monotonic() - started < 5


def test_many_long_names_are_not_remembered() -> None:
    files: dict[str, Entry] = {f"{number:05}" + "n" * 4000: b"" for number in range(3000)}
    assert "names of the container image's members are too long" in (refusal(archive(files)) or "passed")


def test_extension_headers_decide_as_for_the_programs_that_unpack() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("harmless")
        info.pax_headers = {"path": "../../etc/passwd"}
        tar.addfile(info)
    assert "lies outside" in (refusal(target.getvalue(), "rootfs") or "passed")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "/x"}) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    assert "one name or size" in (refusal(target.getvalue(), "rootfs") or "passed")


@settings(deadline=None)
@given(st.binary(max_size=1024), st.integers(0, 4096))
def test_hostile_archives_are_refused_and_nothing_else_is_raised(noise: bytes, position: int) -> None:
    for container, files in (("docker", DOCKER), ("ova", OVA), ("rootfs", ROOTFS)):
        data = bytearray(archive(files))
        data[position : position + len(noise)] = noise
        assert refusal(bytes(data), container) != ""


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=12), st.binary(min_size=1, max_size=1))
def test_hostile_sizes_with_a_sound_checksum(size: bytes, kind: bytes) -> None:
    header = bytearray(archive(DOCKER)[:512])
    header[124:136] = size
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    for container in ("docker", "ova", "rootfs"):
        assert refusal(bytes(header) + archive(DOCKER)[512:], container) != ""


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=64), st.integers(0, 200))
def test_hostile_packed_data(packer: str, noise: bytes, position: int) -> None:
    data = bytearray(PACKERS[packer](bytes(range(256)) * 3))
    data[position : position + len(noise)] = noise
    for container in ("compressed", "rootfs"):
        assert refusal(bytes(data), container) != ""


def test_a_partition_table_is_no_archive() -> None:
    assert "not a tar" in (refusal(placed(512, b"EFI PART")) or "passed")
