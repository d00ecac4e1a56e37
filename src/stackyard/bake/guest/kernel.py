"""The guest's kernel: the distribution's for clouds, the modules that virtual hardware needs, and a ramdisk."""

from __future__ import annotations

import gzip
import io
import platform
import re
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from stackyard.host.errors import HostError

BUSYBOX = "busybox-static"
"""The package of the ramdisk's only program, which has no libraries there."""

_META = "linux-image-cloud-amd64"
_FILES = Path(__file__).with_name("files")

_BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix")
"""What disks need, so the ramdisk has them."""

_MODULES_ON_DEMAND = (
    "8021q", "loop", "nls_ascii", "nls_cp437", "nls_iso8859-1", "nls_utf8", "overlay", "tun",
)  # fmt: skip
"""What is loaded when it is first used."""

_TIMEOUT = 120


def package() -> str:
    """The package with the kernel that the release's own one for clouds stands for; raises HostError."""
    if platform.machine() != "x86_64":
        raise HostError(f"a guest is baked for x86_64 only, and this machine is {platform.machine()}")
    done = subprocess.run(
        ["apt-cache", "depends", _META], check=False, capture_output=True, text=True, timeout=_TIMEOUT
    )
    found = re.search(r"Depends: (linux-image-\S+)", done.stdout)
    if found is None:
        raise HostError(f"apt does not know {_META}: are the package lists there (apt-get update)?")
    return found[1]


class Kernel:
    """The kernel in a folder of unpacked packages."""

    def __init__(self, unpacked: Path) -> None:
        images = sorted((unpacked / "boot").glob("vmlinuz-*"))
        if not images:
            raise HostError("the kernel's package has no kernel")
        self.image = images[-1]
        self.version = self.image.name.removeprefix("vmlinuz-")
        folders = [unpacked / prefix / self.version / "kernel" for prefix in ("lib/modules", "usr/lib/modules")]
        folder = next((path for path in folders if path.is_dir()), folders[0])
        self._modules = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}

    def in_order(self, names: Iterable[str]) -> list[Path]:
        """These modules and what they depend on, each after what it needs; those that the kernel lacks are left out."""
        found: dict[str, Path] = {}

        def add(name: str) -> None:
            path = self._modules.get(name.replace("-", "_"))
            if path is None or path.stem in found:
                return
            for needed in depends(path.read_bytes()):
                add(needed)
            found[path.stem] = path

        for name in names:
            add(name)
        return list(found.values())

    def add_modules(self, root: Path) -> None:
        """Put what a booted guest loads (etc/modules) into its root, with the list by which modprobe finds them."""
        names = (root / "etc/modules").read_text().split()
        folder = root / "usr/lib/modules" / self.version
        folder.mkdir(parents=True)
        lines, aliases = [], []
        for path in self.in_order((*_BOOT_MODULES, *names, *_MODULES_ON_DEMAND)):
            (folder / path.name).write_bytes(path.read_bytes())
            needed = [other.name for other in self.in_order([path.stem]) if other != path]
            lines.append(f"{path.name}: {' '.join(reversed(needed))}\n")
            stem = path.stem.replace("-", "_")
            aliases += [f"alias {alias} {stem}\n" for alias in modinfo(path.read_bytes(), "alias")]
        (folder / "modules.dep").write_text("".join(lines))
        (folder / "modules.alias").write_text("".join(aliases))
        (folder / "modules.symbols").touch()

    def write_ramdisk(self, target: Path, unpacked: Path) -> None:
        """Write the ramdisk: busybox (its package, unpacked), the disks' modules in order, and our init."""
        busybox = next(path for path in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if path.exists())
        modules = self.in_order(_BOOT_MODULES)
        archive = Cpio()
        for name in ("bin", "dev", "proc", "sys", "modules", "root"):
            archive.add(name, b"", stat.S_IFDIR | 0o755)
        archive.add("bin/busybox", busybox.read_bytes(), stat.S_IFREG | 0o755)
        listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True, timeout=_TIMEOUT)
        for applet in listed.stdout.split():
            if applet != "busybox":
                archive.add(f"bin/{applet}", b"busybox", stat.S_IFLNK | 0o777)
        for path in modules:
            archive.add(f"modules/{path.name}", path.read_bytes(), stat.S_IFREG | 0o644)
        order = "".join(f"{path.stem}\n" for path in modules)
        archive.add("modules/order", order.encode(), stat.S_IFREG | 0o644)
        archive.add("init", (_FILES / "initramfs-init").read_bytes(), stat.S_IFREG | 0o755)
        target.write_bytes(gzip.compress(archive.end(), 9, mtime=0))


def depends(module: bytes) -> list[str]:
    """The modules that a module says it needs."""
    return [name for value in modinfo(module, "depends") for name in value.split(",") if name]


def modinfo(module: bytes, name: str) -> list[str]:
    """What a module says of itself under a name."""
    return [value.decode() for value in re.findall(rb"\0" + name.encode() + rb"=([^\0]*)(?=\0)", module)]


class Cpio:
    """An archive in the format that kernels unpack as their first root (newc)."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self._count = 0

    def add(self, name: str, data: bytes, mode: int) -> None:
        """Add a file, a folder, or a symbolic link whose destination is `data`."""
        self._count += 1
        raw = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device, special device, length of the name, checksum
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        self._written.write(b"070701" + b"".join(b"%08x" % field for field in fields))
        self._padded(raw, 110)
        self._padded(data, 0)

    def _padded(self, data: bytes, before: int) -> None:
        self._written.write(data)
        self._written.write(b"\0" * (-(before + len(data)) % 4))

    def end(self) -> bytes:
        """The whole archive."""
        self.add("TRAILER!!!", b"", 0)
        return self._written.getvalue()
