"""QEMU's process: started without privileges and apart from us, found again by its number and the time it began."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stackyard.host import namespaces
from stackyard.host.errors import HostError

_KILL_SECONDS = 10.0


class Process(NamedTuple):
    """A process and what tells it from another with the same number."""

    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """This run of the kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def spawn(arguments: Sequence[str], *, uid: int, groups: Sequence[int], log: Path, descriptors: Sequence[int]) -> int:
    """Start it as the user, in a session and an empty network namespace of its own; returns its number.

    Only `descriptors` are handed on. What it prints goes to `log`. Raises HostError.
    """

    def body() -> int:
        namespaces.unshare(namespaces.NETWORK)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as said:
            made = subprocess.Popen(
                list(arguments), stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=descriptors, cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, start_new_session=True,
                user=uid, group=uid, extra_groups=list(groups), umask=0o077,
            )  # fmt: skip
        made.returncode = 0  # we look after it by its number: it outlives this object, and this process
        return made.pid

    try:
        return namespaces.in_thread(body)
    except OSError as error:
        raise HostError(f"QEMU cannot be started: {error}") from error


def identify(pid: int) -> Process:
    """What to remember of a process that was started just now."""
    return Process(pid, _began(pid) or 0, boot_id())


def runs(process: Process) -> bool:
    """Whether that very process is there; one of ours that has ended is laid to rest."""
    if not process.pid or process.boot != boot_id():
        return False
    try:
        ended = bool(os.waitpid(process.pid, os.WNOHANG)[0])
    except ChildProcessError:
        return _began(process.pid) == process.started
    # Of a child, the first thread may be a zombie while others are still at it.
    return not ended and _began(process.pid, zombies=True) == process.started


def open_handle(process: Process) -> int | None:
    """A descriptor that becomes readable when it ends; None when it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return None
    if runs(process):
        return handle
    os.close(handle)
    return None


def wait_end(process: Process, seconds: float) -> bool:
    """Wait until it ends; False when it did not in time."""
    handle = open_handle(process)
    if handle is None:
        return True
    try:
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        ended = bool(waiter.poll(seconds * 1000))
    finally:
        os.close(handle)
    return ended and not runs(process)


def kill(process: Process) -> None:
    """End it at once; returns when it is gone. Raises HostError when the kernel does not let go of it."""
    handle = open_handle(process)
    if handle is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    if not wait_end(process, _KILL_SECONDS):
        raise HostError(f"process {process.pid} does not end")


def _began(pid: int, *, zombies: bool = False) -> int | None:
    """The time it began, in ticks since boot; None for one that is gone or only waits to be laid to rest."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" and not zombies else int(fields[19])


def end_strays(uid: int, but: int) -> None:
    """End the processes of a machine's user, but for one: what was started and never written down."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != but:
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == uid:
                    os.kill(int(entry.name), signal.SIGKILL)
