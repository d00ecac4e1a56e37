"""File systems, and the disk that boots: master boot record, a small FAT with SYSLINUX and the kernel, the root."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

from stackyard.host.containers.archive import EPOCH
from stackyard.host.errors import HostError

LABEL = "stackyard-guest"
"""The label of the root file system, by which the ramdisk finds it."""

_SECTOR = 512
_FIRST = 2048
_MIB = 1 << 20
_SPARE_MIB = 24
_TIMEOUT = 300
_MBR_CODE = (Path("/usr/lib/syslinux/mbr/mbr.bin"), Path("/usr/share/syslinux/mbr.bin"))
_COMMAND_LINE = "console=tty0 console=ttyS0,115200n8 no_timer_check net.ifnames=0 panic=10"

_TOOLS = {
    "mke2fs": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "qemu-img": "qemu-utils",
    "apt-cache": "apt",
}


def require_tools() -> None:
    """Raise HostError, naming the packages, unless every tool is there."""
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if not any(path.exists() for path in _MBR_CODE):
        missing.append("syslinux-common")
    if missing:
        raise HostError(f"baking a guest needs the packages {', '.join(missing)}")


def write_tar(root: Path, target: Path) -> None:
    """Write a folder as a compressed tar in which everything belongs to root."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = EPOCH
        return info

    with (
        gzip.GzipFile(target, "wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in sorted(root.iterdir()):
            archive.add(path, path.name, filter=plain)


def write_filesystem(root: Path, target: Path) -> None:
    """Write a folder as an ext4 file system with some room, which can grow to a hundred times that and more."""
    used = sum(max(path.lstat().st_size, 4096) for path in root.rglob("*"))
    size = used // _MIB + _SPARE_MIB
    target.unlink(missing_ok=True)
    _run(
        "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", LABEL, "-m", "0", "-N", "8192",
        "-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", "-d", str(root), str(target), f"{size}M",
    )  # fmt: skip


def write_disk(kernel: Path, ramdisk: Path, filesystem: Path, target: Path, work: Path) -> None:
    """Write the disk as a compressed qcow2."""
    boot_mib = (kernel.stat().st_size + ramdisk.stat().st_size) // _MIB + 3
    boot_sectors = boot_mib * _MIB // _SECTOR
    root_sectors = filesystem.stat().st_size // _SECTOR
    boot = work / "boot.fat"
    _write_boot(boot, boot_mib, kernel, ramdisk, work)
    raw = work / "disk.raw"
    with raw.open("wb") as out:
        out.write(_master_boot_record(boot_sectors, root_sectors))
        for start, part in ((_FIRST, boot), (_FIRST + boot_sectors, filesystem)):
            out.seek(start * _SECTOR)
            with part.open("rb") as content:
                shutil.copyfileobj(content, out, _MIB)
        out.truncate((_FIRST + boot_sectors + root_sectors) * _SECTOR)
    _run("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(target))


def _write_boot(boot: Path, mib: int, kernel: Path, ramdisk: Path, work: Path) -> None:
    configuration = work / "syslinux.cfg"
    lines = ("DEFAULT linux", "PROMPT 0", "TIMEOUT 0", "LABEL linux", "LINUX vmlinuz", "INITRD initrd.gz")
    configuration.write_text("\n".join((*lines, f"APPEND {_COMMAND_LINE}", "")))
    with boot.open("wb") as out:
        out.truncate(mib * _MIB)
    _run("mkfs.fat", "-F", "16", "-h", str(_FIRST), "-n", "BOOT", str(boot))
    for source, name in ((kernel, "vmlinuz"), (ramdisk, "initrd.gz"), (configuration, "syslinux.cfg")):
        _run("mcopy", "-i", str(boot), str(source), f"::{name}")
    _run("syslinux", "--install", str(boot))


def _master_boot_record(boot_sectors: int, root_sectors: int) -> bytes:
    code = next(path for path in _MBR_CODE if path.exists()).read_bytes()[:440].ljust(446, b"\0")
    table = _partition(0x80, 0x0E, _FIRST, boot_sectors) + _partition(0, 0x83, _FIRST + boot_sectors, root_sectors)
    return code + table.ljust(64, b"\0") + b"\x55\xaa"


def _partition(active: int, kind: int, start: int, length: int) -> bytes:
    """An entry of the partition table; what says cylinders and heads says that it is beyond them."""
    beyond = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", active, beyond, kind, beyond, start, length)


def _run(*words: str) -> None:
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(words, check=False, capture_output=True, timeout=_TIMEOUT, env=environment)
    if done.returncode != 0:
        raise HostError(f"{words[0]} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
