"""Watches the machines of this host: what each says of itself, and the end of its process."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stackyard.host.errors import HostError
from stackyard.host.machines.qemu import monitor, process
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.process import Process
from stackyard.host.specs import MachineEvent

LOG_BYTES = 1 << 20
"""What is kept of a console's output, at least; at most twice as much and what comes within a tick."""

_TICK_SECONDS = 5.0
_FALLOC_KEEP_SIZE, _FALLOC_PUNCH_HOLE = 1, 2
_SAID = {"SHUTDOWN": "stopped", "GUEST_PANICKED": "crashed", "RESET": "reset"}


@dataclass(slots=True)
class _Watched:
    home: Home
    handle: int
    socket: socket.socket | None
    rest: bytes = b""


class Watcher:
    """One thread looks at all machines; `events` yields what it sees."""

    def __init__(self, ended: Callable[[str, str], MachineEvent | None]) -> None:
        self._ended = ended
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._new: queue.SimpleQueue[tuple[Home, Process]] = queue.SimpleQueue()
        self._watched: dict[int, _Watched] = {}
        self._closed = threading.Event()

    def add(self, home: Home, running: Process) -> None:
        """Look at a machine from now on."""
        self._new.put((home, running))
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """End `events`."""
        self._closed.set()
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def events(self) -> Iterator[MachineEvent]:
        """What machines do by themselves; blocks."""
        poll = select.epoll()
        poll.register(self._wake, select.EPOLLIN)
        trimmed = time.monotonic()
        try:
            while not self._closed.is_set():
                self._take_new(poll)
                for descriptor, _ in poll.poll(_TICK_SECONDS):
                    if descriptor == self._wake:
                        with contextlib.suppress(BlockingIOError):
                            os.eventfd_read(self._wake)
                    else:
                        yield from self._look(poll, descriptor)
                if time.monotonic() - trimmed >= _TICK_SECONDS:
                    trimmed = time.monotonic()
                    for path in {watched.home.console_log for watched in self._watched.values()}:
                        trim(path)
        finally:
            for watched in set(map(id, self._watched.values())):
                self._drop(poll, watched)
            poll.close()

    def _take_new(self, poll: select.epoll) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                home, running = self._new.get_nowait()
                handle = process.open_handle(running)
                if handle is None:
                    # Its end is told by a handle that is ready at once: the reading end of a closed pipe.
                    handle, other = os.pipe()
                    os.close(other)
                watched = _Watched(home, handle, _listen_to(home))
                self._watched[handle] = watched
                poll.register(handle, select.EPOLLIN)
                if watched.socket is not None:
                    self._watched[watched.socket.fileno()] = watched
                    poll.register(watched.socket, select.EPOLLIN)

    def _look(self, poll: select.epoll, descriptor: int) -> Iterator[MachineEvent]:
        watched = self._watched.get(descriptor)
        if watched is None:
            return
        if watched.socket is not None and descriptor == watched.socket.fileno():
            yield from self._read(poll, watched)
            return
        yield from self._read(poll, watched)
        self._drop(poll, id(watched))
        event = self._ended(watched.home.id, "ended")
        if event is not None:
            yield event

    def _read(self, poll: select.epoll, watched: _Watched) -> Iterator[MachineEvent]:
        said = watched.socket
        if said is None:
            return
        try:
            data = said.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            poll.unregister(said)
            self._watched.pop(said.fileno(), None)
            said.close()
            watched.socket = None
            return
        *lines, watched.rest = (watched.rest + data).split(b"\n")
        for line in lines:
            message = msgspec.json.decode(line)
            happened = _SAID.get(message.get("event", ""))
            if happened == "reset" and not message.get("data", {}).get("guest"):
                continue
            event = self._ended(watched.home.id, happened) if happened else None
            if event is not None:
                yield event

    def _drop(self, poll: select.epoll, which: int) -> None:
        for descriptor in [one for one, watched in self._watched.items() if id(watched) == which]:
            watched = self._watched.pop(descriptor)
            with contextlib.suppress(OSError):
                poll.unregister(descriptor)
            if watched.socket is not None and watched.socket.fileno() == descriptor:
                watched.socket.close()
                watched.socket = None
            elif descriptor == watched.handle:
                os.close(descriptor)


def _listen_to(home: Home) -> socket.socket | None:
    """The connection on which a machine tells what it does; what it said before is not told again."""
    try:
        made = monitor.connect(home.socket("watch"), 2.0)
        made.sendall(b'{"execute":"qmp_capabilities"}\n')
        made.settimeout(0)
    except (HostError, OSError):
        return None
    return made


def trim(path: Path) -> None:
    """Free what is old of a log that its writer appends to: the file keeps its length, and its end."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        status = os.fstat(descriptor)
        if status.st_blocks * 512 > 2 * LOG_BYTES:
            _punch(descriptor, status.st_size - LOG_BYTES)
    finally:
        os.close(descriptor)


def _punch(descriptor: int, length: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.fallocate(
        descriptor, _FALLOC_KEEP_SIZE | _FALLOC_PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(length - length % 4096)
    )
    if done != 0 and ctypes.get_errno() in (errno.EOPNOTSUPP, errno.ENOSYS):
        os.ftruncate(descriptor, 0)


def tail(path: Path, lines: int | None) -> bytes:
    """The end of a log: the last lines, or all that is kept."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        data = file.read(LOG_BYTES).lstrip(b"\0")
    if lines is None:
        return data
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines > 0 else b""
