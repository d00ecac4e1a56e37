"""The kernel's namespaces: unshare, enter, keep by a bind mount (namespaces(7), setns(2), unshare(2)).

All of it is per thread: one that unshares or joins takes nothing else of the process with it. Raises OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

NETWORK = 0x40000000
"""CLONE_NEWNET."""
HOST_NAME = 0x04000000
"""CLONE_NEWUTS."""

_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_EINVAL = 22

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


def unshare(kind: int = NETWORK) -> None:
    """Give the calling thread a new namespace, which ends with the thread unless it is kept."""
    _check("unshare", _libc.unshare(kind))


def join(descriptor: int, kind: int = NETWORK) -> None:
    """Move the calling thread into the namespace."""
    _check("setns", _libc.setns(descriptor, kind))


def set_host_name(name: str) -> None:
    """Set the name that the calling thread's UTS namespace has."""
    encoded = name.encode()
    _check(f"sethostname {name}", _libc.sethostname(encoded, len(encoded)))


def own(kind: str = "net") -> Path:
    """The file of the calling thread's namespace."""
    return Path(f"/proc/thread-self/ns/{kind}")


def is_kept(path: Path) -> bool:
    """Whether a namespace is mounted at `path`; a file without its mount, left by a crash or a reboot, is none."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False


def keep(source: Path, target: Path) -> None:
    """Bind-mount a namespace's file on `target`, an existing file: it lives on without a process."""
    _check(f"mounting the namespace on {target}", _mount(str(source), str(target), _MS_BIND))


def let_go(path: Path) -> None:
    """Unmount what is kept at `path`, and remove the file; gone is fine. The kernel ends it with its last process."""
    while is_kept(path):
        _check(f"unmounting {path}", _libc.umount2(os.fsencode(path), _MNT_DETACH))
    path.unlink(missing_ok=True)


def share_mounts(directory: Path) -> None:
    """Make a directory a shared mount, so that other mount namespaces see what is kept in it."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    place = str(directory)
    if _mount("", place, _MS_SHARED | _MS_REC) == 0:
        return
    if ctypes.get_errno() != _EINVAL:
        _check(f"sharing {place}", -1)
    _check(f"binding {place}", _mount(place, place, _MS_BIND | _MS_REC))
    _check(f"sharing {place}", _mount("", place, _MS_SHARED | _MS_REC))


@contextlib.contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """Run the body, in this thread, inside the network namespace; the thread comes back afterwards."""
    home = os.open(own(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        join(descriptor)
        try:
            yield
        finally:
            join(home)
    finally:
        os.close(home)


def in_thread(function: Callable[[], _T]) -> _T:
    """Run `function` in a thread of its own that ends afterwards: what it unshares or joins ends with it."""
    outcome: list[_T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=body, name="namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _mount(source: str, target: str, flags: int) -> int:
    return int(_libc.mount(source.encode(), target.encode(), b"none", flags, None))


def _check(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
