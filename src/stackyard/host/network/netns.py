"""Network namespaces by name: make, enter, remove. Names live in /run/netns, as `ip netns` shows them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from stackyard.host import namespaces
from stackyard.host.errors import HostError
from stackyard.host.namespaces import in_thread, inside, join, unshare

__all__ = [
    "DIRECTORY", "close_later", "create", "delete", "exists", "in_thread", "inside", "join", "names",
    "open_namespace", "path_of", "unshare", "write_sysctl",
]  # fmt: skip

DIRECTORY = Path("/run/netns")


def path_of(name: str) -> str:
    """Where the namespace of that name is bound."""
    return str(DIRECTORY / name)


def exists(name: str) -> bool:
    """Whether the name is bound to a namespace (a file left by a reboot is not)."""
    return namespaces.is_kept(DIRECTORY / name)


def names(prefix: str) -> list[str]:
    """Names in /run/netns that begin with `prefix`."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(entry.name for entry in DIRECTORY.iterdir() if entry.name.startswith(prefix))


def create(name: str) -> bool:
    """Make the namespace when it is not there; True when it was made. Raises HostError."""
    if exists(name):
        return False

    def make() -> None:
        namespaces.share_mounts(DIRECTORY)
        path = Path(path_of(name))
        path.touch(mode=0o444)
        try:
            unshare()
            namespaces.keep(namespaces.own(), path)
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
    namespaces.let_go(DIRECTORY / name)


def open_namespace(path: str) -> int:
    """A descriptor of the namespace at `path`. Raises HostError when there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"network namespace {path} is not there: {error.strerror}") from error


def close_later(close: Callable[[], object]) -> None:
    """Close a socket for whose end the kernel takes its time, without waiting for it."""
    threading.Thread(target=close, name="close").start()


def write_sysctl(key: str, value: int) -> None:
    """Set net/... of the namespace that the calling thread is in; what the kernel lacks is left alone."""
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/sys/net", key).write_text(f"{value}\n")
