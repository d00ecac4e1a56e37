"""A small guest from the distribution's packages: one userland as a disk that boots, and as a root file system.

`build` makes all of it. `userland` collects the files (our own are in files/), `kernel` the kernel with its modules and
ramdisk, `disk` the file systems and the disk around them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stackyard.bake.guest import disk, kernel, userland
from stackyard.bake.packages import Packages
from stackyard.host.errors import HostError

NAME = "stackyard-guest"

# Part of every cached file's name: raise it when the same files come out differently.
_FORMAT = "1"


class GuestFiles(NamedTuple):
    """The same guest in each of its forms.

    `disk` is a qcow2 that boots; `root` a tar, for containers; `filesystem` an ext4 for whoever loads `kernel` and
    `ramdisk` himself.
    """

    disk: Path
    root: Path
    filesystem: Path
    kernel: Path
    ramdisk: Path


_FILES = {
    "disk": "guest.qcow2",
    "root": "guest-root.tar.gz",
    "filesystem": "guest-root.ext4",
    "kernel": "guest-vmlinuz",
    "ramdisk": "guest-initrd.gz",
}


def build(cache_dir: Path, progress: Callable[[str], None]) -> GuestFiles:
    """Build the guest, or take it from the cache when it has been built on this release before.

    Raises HostError when apt or one of the tools fails or is missing, or without the rights of root.
    """
    if os.geteuid() != 0:
        raise HostError("baking a guest needs the rights of root: its files belong to root")
    disk.require_tools()
    cache_dir.mkdir(parents=True, exist_ok=True)
    target = _target(cache_dir)
    with (cache_dir / "lock").open("w") as lock:
        # Two bakes at once would fetch the same packages to the same files.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            for leftover in cache_dir.glob(".build-*"):
                shutil.rmtree(leftover, ignore_errors=True)  # of a bake that was killed; we hold the lock
            with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".build-") as directory:
                _build(Path(directory), Packages(cache_dir / "apt", progress), progress)
                (Path(directory) / "out").replace(target)
    return _files(target)


def found(cache_dir: Path) -> GuestFiles | None:
    """The guest that was built before; None when there is none of this release in the cache."""
    target = _target(cache_dir)
    return _files(target) if target.exists() else None


def _target(cache_dir: Path) -> Path:
    return cache_dir / f"guest-{_digest()}"


def _files(folder: Path) -> GuestFiles:
    return GuestFiles(**{name: folder / file for name, file in _FILES.items()})


def _digest() -> str:
    """Names the result: our files, the release that the packages come from, and the machine they are for."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    found = hashlib.sha256("\0".join((_FORMAT, release.get("VERSION_ID", ""), platform.machine())).encode())
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _build(work: Path, packages: Packages, progress: Callable[[str], None]) -> None:
    out = work / "out"
    out.mkdir()
    files = _files(out)
    debs = packages.fetch((), (*userland.PACKAGES, kernel.BUSYBOX, kernel.package()), ())
    progress(f"unpacking {len(debs)} packages")
    unpacked, static = work / "packages", work / "static"
    for deb in debs:
        userland.unpack(deb, static if deb.name.startswith(f"{kernel.BUSYBOX}_") else unpacked)
    root = work / "root"
    userland.collect(unpacked, root)
    found = kernel.Kernel(unpacked)
    found.add_modules(root)
    progress("making the root file system")
    disk.write_tar(root, files.root)
    disk.write_filesystem(root, files.filesystem)
    shutil.copyfile(found.image, files.kernel)
    found.write_ramdisk(files.ramdisk, static)
    progress("making the disk")
    disk.write_disk(files.kernel, files.ramdisk, files.filesystem, files.disk, work)
