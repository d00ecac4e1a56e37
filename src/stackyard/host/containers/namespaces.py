"""Sandboxes: network namespaces that outlive processes, and what else containers need of namespaces.

Half a millisecond each, and no fork: the thread that unshares ends, the mount keeps its namespace.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path

from stackyard.host import namespaces
from stackyard.host.containers.os_errors import told
from stackyard.host.namespaces import in_thread
from stackyard.host.namespaces import is_kept as is_namespace

__all__ = ["bind", "in_thread", "is_namespace", "make_namespace", "remove_namespace", "set_hostname"]

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40

# What Docker sets in the namespaces it makes: a process without privileges may bind port 80 and send pings.
_SYSCTLS = {"ip_unprivileged_port_start": "0", "ping_group_range": "0 2147483647"}

# Two mounts on one path would hide the first, with what is wired into it.
_making = threading.Lock()


def make_namespace(path: Path) -> None:
    """Make a namespace with its loopback up and mount it at `path`; nothing to do when it is there."""

    def make() -> None:
        namespaces.unshare()
        _set_up_loopback()
        namespaces.keep(namespaces.own(), path)

    with _making, told(f"make the network namespace {path}"):
        if not is_namespace(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            path.touch(mode=0o444)
            in_thread(make)


def remove_namespace(path: Path) -> None:
    """Unmount and remove; the kernel ends the namespace, and the links in it, with its last process."""
    with told(f"remove {path}"):
        namespaces.let_go(path)


def bind(source: Path, target: Path) -> None:
    """Bind-mount a namespace file on `target`, an existing file."""
    with told(f"mount the namespace {source} on {target}"):
        namespaces.keep(source, target)


def set_hostname(pid: int, hostname: str) -> None:
    """Set the host name that the process `pid` and its UTS namespace see."""

    def set_name() -> None:
        descriptor = os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Joining another UTS namespace is per thread, so the rest of this process keeps its own name.
            namespaces.join(descriptor, namespaces.HOST_NAME)
        finally:
            os.close(descriptor)
        namespaces.set_host_name(hostname)

    with told(f"set the host name {hostname} of process {pid}"):
        in_thread(set_name)


def _set_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
    for name, value in _SYSCTLS.items():
        with contextlib.suppress(OSError):  # an old kernel, or /proc/sys that cannot be written
            Path("/proc/sys/net/ipv4", name).write_text(value)
