"""Network namespaces: make, enter, remove. Names live in /run/netns, as `ip netns` shows them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from stackyard.host.errors import HostError

DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_EINVAL = 22

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def path_of(name: str) -> str:
    """Where the namespace of that name is bound."""
    return str(DIRECTORY / name)


def exists(name: str) -> bool:
    """Whether the name is bound to a namespace (a file left by a reboot is not)."""
    try:
        return Path(path_of(name)).stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False


def names(prefix: str) -> list[str]:
    """Names in /run/netns that begin with `prefix`."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(entry.name for entry in DIRECTORY.iterdir() if entry.name.startswith(prefix))


def _mount(source: str, target: str, flags: int) -> int:
    return int(_libc.mount(source.encode(), target.encode(), b"none", flags, None))


def _share_directory() -> None:
    """Make /run/netns a shared mount as `ip netns` does, so that other mount namespaces see the names bound here."""
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    directory = str(DIRECTORY)
    if _mount("", directory, _MS_SHARED | _MS_REC) == 0:
        return
    if ctypes.get_errno() != _EINVAL:
        _call("sharing /run/netns", -1)
    _call("binding /run/netns", _mount(directory, directory, _MS_BIND | _MS_REC))
    _call("sharing /run/netns", _mount("", directory, _MS_SHARED | _MS_REC))


def unshare() -> None:
    """Give the calling thread a new, empty namespace, which ends with the thread."""
    _call("unshare", _libc.unshare(_CLONE_NEWNET))


def create(name: str) -> bool:
    """Make the namespace when it is not there; True when it was made. Raises HostError."""
    if exists(name):
        return False

    def make() -> None:
        _share_directory()
        path = Path(path_of(name))
        path.touch(mode=0o444)
        try:
            unshare()
            _call("binding the namespace", _mount("/proc/thread-self/ns/net", str(path), _MS_BIND))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    try:
        in_thread(make)
    except OSError as error:
        raise HostError(f"network namespace {name} cannot be made ({error}); Stackyard must run as root") from error
    return True


def delete(name: str) -> None:
    """Unbind the name; the kernel drops the namespace with its last process. Gone is fine."""
    path = path_of(name)
    while exists(name):
        _call("unbinding the namespace", _libc.umount2(path.encode(), _MNT_DETACH))
    Path(path).unlink(missing_ok=True)


def join(descriptor: int) -> None:
    """Move the calling thread into the namespace."""
    _call("setns", _libc.setns(descriptor, _CLONE_NEWNET))


def open_namespace(path: str) -> int:
    """A descriptor of the namespace at `path`. Raises HostError when there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"network namespace {path} is not there: {error.strerror}") from error


@contextlib.contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """Run the body, in this thread, inside the namespace; the thread comes back afterwards."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        join(descriptor)
        try:
            yield
        finally:
            join(home)
    finally:
        os.close(home)


def in_thread(function: Callable[[], _T]) -> _T:
    """Run `function` in a thread of its own, so that the namespace it moves to ends with it."""
    outcome: list[_T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=body, name="netns")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def close_later(close: Callable[[], object]) -> None:
    """Close a socket for whose end the kernel takes its time, without waiting for it."""
    threading.Thread(target=close, name="close").start()


def write_sysctl(key: str, value: int) -> None:
    """Set net/... of the namespace that the calling thread is in; what the kernel lacks is left alone."""
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/sys/net", key).write_text(f"{value}\n")
