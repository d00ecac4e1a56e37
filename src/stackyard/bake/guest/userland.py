"""The guest's files: a few programs with the libraries that they need, busybox for all else, and our own scripts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from stackyard.host.errors import HostError

# Not the static busybox: its shell runs its own applets whatever the PATH has of that name, as our nc.
PACKAGES = (
    "busybox", "dropbear-bin", "netcat-traditional", "util-linux", "e2fsprogs", "dosfstools",
    "libc6", "libcrypt1", "zlib1g", "libtomcrypt1", "libtommath1", "libgmp10", "libblkid1", "libmount1",
    "libsmartcols1", "libudev1", "libselinux1", "libpcre2-8-0", "libuuid1", "libext2fs2", "libcom-err2", "libtinfo6",
)  # fmt: skip

_PROGRAMS = {
    "usr/bin/busybox": ("bin/busybox", "usr/bin/busybox"),
    "usr/sbin/dropbear": ("usr/sbin/dropbear",),
    "usr/bin/dropbearkey": ("usr/bin/dropbearkey",),
    "usr/bin/dbclient": ("usr/bin/dbclient",),
    "usr/bin/nc.traditional": ("bin/nc.traditional", "usr/bin/nc.traditional"),
    "usr/bin/lsblk": ("bin/lsblk", "usr/bin/lsblk"),
    "usr/sbin/blkid": ("sbin/blkid", "usr/sbin/blkid"),
    "usr/sbin/mke2fs": ("sbin/mke2fs", "usr/sbin/mke2fs"),
    "usr/sbin/resize2fs": ("sbin/resize2fs", "usr/sbin/resize2fs"),
    "usr/sbin/mkfs.vfat": ("sbin/mkfs.fat", "usr/sbin/mkfs.fat"),
}
"""By its place in the guest, where a package may have it."""

_LINKS = {
    "usr/sbin/mkfs.ext2": "mke2fs",
    "usr/sbin/mkfs.ext3": "mke2fs",
    "usr/sbin/mkfs.ext4": "mke2fs",
    "usr/bin/ssh": "dbclient",
    "var/run": "/run",
    "var/lock": "/run/lock",
}
_DIRECTORIES = (
    "dev", "etc/dropbear", "home/cirros", "mnt", "proc", "root", "run", "sys", "tmp", "var/lib/guest", "var/log",
    "var/tmp", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64",
)  # fmt: skip
_FILES = Path(__file__).with_name("files")
_OUTSIDE = "initramfs-init"
_TIMEOUT = 60


def unpack(deb: Path, target: Path) -> None:
    """Unpack a package; raises HostError."""
    done = subprocess.run(["dpkg-deb", "-x", deb, target], check=False, capture_output=True, timeout=_TIMEOUT)
    if done.returncode != 0:
        raise HostError(f"the package {deb.name} cannot be unpacked: {done.stderr.decode(errors='replace').strip()}")


def collect(unpacked: Path, root: Path) -> None:
    """Lay the guest's root out from unpacked packages; raises HostError when they lack something."""
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for place, sources in _PROGRAMS.items():
        _copy(_first(unpacked, sources), root / place)
    _libraries(unpacked, root)
    for path in sorted(_FILES.rglob("*")):
        if path.is_file() and path.name != _OUTSIDE:
            _own(path, root / path.relative_to(_FILES))
    for place, destination in _LINKS.items():
        (root / place).symlink_to(destination)
    for applet in _applets(root / "usr/bin/busybox"):
        if not any((root / folder / applet.name).exists() for folder in ("usr/bin", "usr/sbin")):
            (root / applet).symlink_to("busybox" if applet.parent.name == "bin" else "../bin/busybox")
    for path in (root / "tmp", root / "var/tmp"):
        path.chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "etc/shadow").chmod(0o600)


def _own(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_bytes()
    place.write_bytes(text)
    place.chmod(0o755 if text.startswith(b"#!") else 0o644)


def _first(unpacked: Path, sources: tuple[str, ...]) -> Path:
    for source in sources:
        if (unpacked / source).is_file():
            return unpacked / source
    raise HostError(f"none of the packages has {sources[0]}")


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    place.chmod(0o755)


def _libraries(unpacked: Path, root: Path) -> None:
    """Copy the libraries that programs need, and those that these need: an ELF file names them as they are called."""
    pool = {path.name: path for path in sorted(unpacked.rglob("*.so*")) if path.is_file() and "gconv" not in path.parts}
    waiting = [path for path in (root / "usr").rglob("*") if path.is_file() and not path.is_symlink()]
    while waiting:
        content = waiting.pop().read_bytes()
        for name in [name for name in pool if b"\0" + name.encode() + b"\0" in content]:
            place = root / "usr/lib" / name
            _copy(pool.pop(name).resolve(), place)
            waiting.append(place)
    loader = _first(
        unpacked, ("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    )
    _copy(loader, root / "usr/lib64/ld-linux-x86-64.so.2")


def _applets(busybox: Path) -> list[Path]:
    """Where the names that busybox answers to belong: itself tells."""
    listed = subprocess.run([busybox, "--list-full"], check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    places = [Path(name) for name in listed.stdout.split()]
    # /linuxrc would be the init of a ramdisk
    return [Path("usr", place.parent.name, place.name) for place in places if place.parent.name in ("bin", "sbin")]
