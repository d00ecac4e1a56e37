"""Mounting the file systems on volumes for containers: loop devices over files, ext4 made where there is nothing yet.

A loop device goes with its mount (autoclear), so that no crash leaves one behind. What is on a volume may have been
written by a guest: neither devices nor set-uid programs on it count.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stackyard.host.disks.copying import extents
from stackyard.host.errors import HostError, SpecError

_FIFREEZE, _FITHAW = 0xC0045877, 0xC0045878
_LOOP_SET_CAPACITY = 0x4C07
_SECONDS = 120.0
_SUPERBLOCK, _EXT_MAGIC = 1024, 0xEF53
_BTRFS = (0x10040, b"_BHRfS_M")
_libc = ctypes.CDLL(None, use_errno=True)


def mounted(directory: Path) -> dict[str, tuple[Path, str]]:
    """What is mounted right below a directory: by name, where and from which device."""
    return {place.name: (place, device) for place, device in _all() if place.parent == directory}


def is_mount(directory: Path) -> bool:
    """Whether something is mounted on it, be it the directory itself."""
    return any(place == directory for place, _ in _all())


def file_system_of(directory: Path) -> str:
    """The type of the file system that a directory is on, or would be."""
    place = directory.resolve()
    best, kind = -1, "nothing known"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        root = Path(_unescaped(fields.split()[4]))
        if place.is_relative_to(root) and len(root.parts) >= best:
            best, kind = len(root.parts), rest.split()[0]
    return kind


def _all() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        yield Path(_unescaped(fields.split()[4])), _unescaped(rest.split()[1])


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def mount(source: Path, place: Path, file_system: str, *, read_only: bool) -> None:
    """Mount what is on a file or block device. Raises HostError with what mount said."""
    options = ["nosuid", "nodev", "ro" if read_only else "rw"]
    if not source.is_block_device():
        options.append("loop")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(["mount", "-t", file_system, "-o", ",".join(options), "--", str(source), str(place)])


def unmount(place: Path) -> None:
    """Write everything out, unmount and remove the empty directory; one that is busy is let go of by and by."""
    flush(place)
    done = _libc.umount2(os.fsencode(place), 0)
    if done != 0 and ctypes.get_errno() == errno.EBUSY:
        done = _libc.umount2(os.fsencode(place), 2)  # MNT_DETACH
    if done != 0 and ctypes.get_errno() != errno.EINVAL:
        raise HostError(f"unmounting {place}: {os.strerror(ctypes.get_errno())}")
    with contextlib.suppress(OSError):
        place.rmdir()


def flush(place: Path) -> None:
    """Have the kernel write out what it holds back of the file system mounted at `place`."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            raise HostError(f"writing out {place}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def frozen(place: Path) -> Iterator[None]:
    """While the block runs, the file system mounted there is whole on its device, and writers to it wait."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = _freeze(descriptor)
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(OSError):  # somebody else has let them go on already
                    fcntl.ioctl(descriptor, _FITHAW, 0)
    finally:
        os.close(descriptor)


def _freeze(descriptor: int) -> bool:
    try:
        fcntl.ioctl(descriptor, _FIFREEZE, 0)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EBUSY, errno.EROFS, errno.ENOTTY):
            raise
        _libc.syncfs(descriptor)
        return False
    return True


def thaw(place: Path) -> None:
    """Let writers go on whom a process held that was killed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _FITHAW, 0)
        finally:
            os.close(descriptor)


# ------------------------------------------------------------------------------------------------- the file systems


def kind_of(path: Path) -> str | None:
    """The file system on a file or device: ext4 (and its elders), xfs, btrfs, `data` for anything else; None: empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _kind(descriptor, path.is_block_device())
    finally:
        os.close(descriptor)


def _kind(descriptor: int, block: bool) -> str | None:
    head = os.pread(descriptor, _SUPERBLOCK * 2, 0)
    if head[:4] == b"XFSB":
        return "xfs"
    if len(head) == _SUPERBLOCK * 2 and struct.unpack_from("<H", head, _SUPERBLOCK + 0x38)[0] == _EXT_MAGIC:
        return "ext4"
    if os.pread(descriptor, len(_BTRFS[1]), _BTRFS[0]) == _BTRFS[1]:
        return "btrfs"
    if block:
        return "data" if any(os.pread(descriptor, 1 << 20, 0)) else None
    found = os.fstat(descriptor)
    if not found.st_blocks or not any(True for _ in extents(descriptor, found.st_size)):
        return None
    return "data"


def make(path: Path, file_system: str) -> None:
    """Make an empty file system. Raises SpecError where this host has no tool for it."""
    tool = shutil.which(f"mkfs.{file_system}")
    if tool is None:
        raise SpecError(f"This host cannot make file systems of type {file_system}: it has no mkfs.{file_system}.")
    quick = {"ext4": ["-q", "-F", "-m", "0", "-E", "nodiscard"], "xfs": ["-q", "-f", "-K"], "btrfs": ["-q", "-f", "-K"]}
    _run([tool, *quick.get(file_system, []), str(path)])
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def grow(place: Path, device: str, file_system: str) -> None:
    """Have a mounted file system take all of its device, which may have grown. Raises HostError (a process without
    CAP_SYS_RESOURCE may not do that to ext4; `grow_unmounted` may).
    """
    if device.startswith("/dev/loop"):
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _LOOP_SET_CAPACITY, 0)
        finally:
            os.close(descriptor)
    if file_system == "ext4":
        _run(["resize2fs", device])
    elif file_system == "xfs":
        _run(["xfs_growfs", str(place)])
    elif file_system == "btrfs":
        _run(["btrfs", "filesystem", "resize", "max", str(place)])


def grow_unmounted(path: Path) -> None:
    """Have an ext4 take all of its file while it is not mounted. Raises HostError when it is damaged."""
    _run(["e2fsck", "-f", "-p", str(path)], fine=(0, 1))
    _run(["resize2fs", str(path)])


def is_smaller(path: Path, file_system: str) -> bool:
    """Whether the file system leaves a part of its volume unused, which then has been extended since; ext4 only."""
    if file_system != "ext4":
        return False
    with path.open("rb") as file:
        file.seek(_SUPERBLOCK)
        block = file.read(_SUPERBLOCK)
        size = file.seek(0, os.SEEK_END)
    low, shift = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 24)[0]
    high = struct.unpack_from("<I", block, 0x150)[0] if struct.unpack_from("<I", block, 0x60)[0] & 0x80 else 0
    return bool((low + (high << 32)) < size >> (10 + min(shift, 6)))


def _run(arguments: list[str], fine: tuple[int, ...] = (0,)) -> None:
    name = Path(arguments[0]).name
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise SpecError(f"This host has no {name}.") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"{name}: {type(error).__name__}") from error
    if done.returncode not in fine:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise HostError(f"{name}: {said[-300:] or f'exit code {done.returncode}'}")
