"""What is done to a container that runs by the number of its first process: directories of the host shown in it, and
how it is asked to end. Directories are mounted in its own mount namespace, from outside.

The mount is taken as it is seen on the host (open_tree(2)) and moved into the container's namespace (move_mount(2)), so
that nothing of the container has a part in it, and every path is resolved as the container sees it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from stackyard.host import namespaces
from stackyard.host.errors import HostError

_FILES, _MOUNTS = 0x200, 0x00020000  # CLONE_FS, CLONE_NEWNS
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_HERE = -100  # AT_FDCWD
_CLONE, _CLOSE = 1, os.O_CLOEXEC  # OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC
_EMPTY_PATH = 4  # MOVE_MOUNT_F_EMPTY_PATH
_NO_FOLLOW = 8  # UMOUNT_NOFOLLOW
_libc = ctypes.CDLL(None, use_errno=True)


class Inside(Protocol):
    """What is mounted in a running container, told by the number of its first process."""

    def mount(self, pid: int, source: Path, target: str) -> None:
        """Show a directory of the host at `target`, which is made if need be; done already is done. HostError."""

    def unmount(self, pid: int, target: str) -> None:
        """Take it away; gone is done. HostError while something inside uses it."""


class MountNamespaces:
    """By the kernel."""

    def mount(self, pid: int, source: Path, target: str) -> None:
        """Show a directory of the host at `target`."""
        if _is_mount(pid, target):
            return
        tree = _called(
            f"opening {source}", _libc.syscall(_OPEN_TREE, _HERE, os.fsencode(source), ctypes.c_uint(_CLONE | _CLOSE))
        )
        try:
            _inside(pid, lambda: _put(tree, target))
        finally:
            os.close(tree)

    def unmount(self, pid: int, target: str) -> None:
        """Take it away."""
        if _is_mount(pid, target):
            _inside(pid, lambda: _take(target))


def power_off_signal(pid: int) -> str:
    """The signal by which the init with this number ends its system."""
    try:
        name = Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return "SIGPWR"
    return {"systemd": "SIGRTMIN+3", "busybox": "SIGUSR2"}.get(name, "SIGPWR")


def _put(tree: int, target: str) -> None:
    os.makedirs(target, mode=0o755, exist_ok=True)  # noqa: PTH103  in the container's root
    moved = _libc.syscall(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(target), ctypes.c_uint(_EMPTY_PATH))
    _called(f"mounting on {target}", moved)


def _take(target: str) -> None:
    if _libc.umount2(os.fsencode(target), _NO_FOLLOW) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EBUSY:
        raise HostError(f"something in the container uses {target}")
    if number != errno.EINVAL:
        raise HostError(f"unmounting {target}: {os.strerror(number)}")


def _called(what: str, answer: int) -> int:
    if answer < 0:
        raise HostError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return answer


def _inside(pid: int, step: Callable[[], None]) -> None:
    """Do that in the container's mount namespace, in a thread that ends with it."""

    def body() -> None:
        with _namespace(pid) as descriptor:
            namespaces.unshare(_FILES)  # a thread that has its root in common with others cannot go elsewhere
            namespaces.join(descriptor, _MOUNTS)
        step()

    try:
        namespaces.in_thread(body)
    except OSError as error:
        raise HostError(f"in the container: {error.strerror or error}") from error


@contextlib.contextmanager
def _namespace(pid: int) -> Iterator[int]:
    descriptor = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_mount(pid: int, target: str) -> bool:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError as error:
        raise HostError(f"the container does not run: {error.strerror}") from error
    return any(_plain(line.split()[4]) == target for line in lines)


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
