"""Network namespaces that outlive processes: made by unshare in a thread, kept by a bind mount.

Half a millisecond each, and no fork: the thread that unshares ends, the mount keeps its namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stackyard.host.containers.os_errors import told

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUTS = 0x04000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40

# What Docker sets in the namespaces it makes: a process without privileges may bind port 80 and send pings.
_SYSCTLS = {"ip_unprivileged_port_start": "0", "ping_group_range": "0 2147483647"}

# Two mounts on one path would hide the first, with what is wired into it.
_making = threading.Lock()
_libc = ctypes.CDLL(None, use_errno=True)
_Result = TypeVar("_Result")


def is_namespace(path: Path) -> bool:
    """Whether a namespace is mounted at `path` (a file without its mount, left by a crash, is none)."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except OSError:
        return False


def make_namespace(path: Path) -> None:
    """Make a namespace with its loopback up and mount it at `path`; nothing to do when it is there."""

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), f"make the network namespace {path}")
        _set_up_loopback()
        bind(Path("/proc/thread-self/ns/net"), path)

    with _making, told(f"make the network namespace {path}"):
        if not is_namespace(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            path.touch(mode=0o444)
            in_thread(make)


def remove_namespace(path: Path) -> None:
    """Unmount and remove; the kernel ends the namespace, and the links in it, with its last process."""
    while is_namespace(path):
        _check(_libc.umount2(os.fsencode(path), _MNT_DETACH), f"unmount {path}")
    with told(f"remove {path}"):
        path.unlink(missing_ok=True)


def bind(source: Path, target: Path) -> None:
    """Bind-mount a namespace file on `target`, an existing file."""
    result = _libc.mount(os.fsencode(source), os.fsencode(target), b"none", _MS_BIND, None)
    _check(result, f"mount the namespace {source} on {target}")


def set_hostname(pid: int, hostname: str) -> None:
    """Set the host name that the process `pid` and its UTS namespace see."""
    name = hostname.encode()

    def set_name() -> None:
        descriptor = os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Joining another UTS namespace is per thread, so the rest of this process keeps its own name.
            _check(_libc.setns(descriptor, _CLONE_NEWUTS), f"join the UTS namespace of process {pid}")
        finally:
            os.close(descriptor)
        _check(_libc.sethostname(name, len(name)), f"set the host name {hostname}")

    in_thread(set_name)


def in_thread(work: Callable[[], _Result]) -> _Result:
    """Run in a thread of its own that ends afterwards: what it unshares or joins ends with it."""
    results: list[_Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _set_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
    for name, value in _SYSCTLS.items():
        with contextlib.suppress(OSError):  # an old kernel, or /proc/sys that cannot be written
            Path("/proc/sys/net/ipv4", name).write_text(value)


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    with told(what):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
