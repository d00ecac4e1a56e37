"""QMP: commands to a QEMU process over its Unix socket, synchronous, with descriptors where one is given."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stackyard.host.errors import HostError

_CHUNK = 65536
_CONNECT_SECONDS = 10.0
_COMMAND_SECONDS = 30.0


class MonitorGoneError(HostError):
    """The process does not answer, or has ended."""


class CommandError(HostError):
    """QEMU refused a command; the text is its own."""


Event = Mapping[str, Any]


class Monitor:
    """One connection. QEMU serves one at a time on each socket: others wait until it is closed."""

    def __init__(self, path: Path, timeout: float = _CONNECT_SECONDS) -> None:
        self._buffer = b""
        self._events: list[Event] = []
        self._socket = connect(path, timeout)
        try:
            self._deadline(timeout)
            self._read()
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Let the next one in."""
        self._socket.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        descriptors: Sequence[int] = (),
        *,
        timeout: float = _COMMAND_SECONDS,
    ) -> Any:
        """Run a command and return its answer. Raises CommandError, MonitorGoneError."""
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        self._deadline(timeout)
        try:
            data = msgspec.json.encode(message)
            sent = socket.send_fds(self._socket, [data], list(descriptors))
            self._socket.sendall(data[sent:])
        except OSError as error:
            raise MonitorGoneError(f"QEMU does not take {command}: {error}") from error
        while True:
            answer = self._read()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise CommandError(f"{command}: {answer['error'].get('desc', 'refused')}")
            self._note(answer)

    def hand_over(self, descriptor: int) -> str:
        """Give QEMU a descriptor of a file; returns the name that block nodes open it by."""
        added = self.execute("add-fd", descriptors=(descriptor,))
        return f"/dev/fdset/{added['fdset-id']}"

    def wait(self, wanted: Callable[[Event], bool], timeout: float) -> Event | None:
        """The first event that is wanted, among those that came since the last; None when none came in time."""
        end = time.monotonic() + timeout
        while True:
            while self._events:
                event = self._events.pop(0)
                if wanted(event):
                    return event
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._deadline(left)
            with contextlib.suppress(TimeoutError):
                self._note(self._read(patient=False))

    def _deadline(self, seconds: float) -> None:
        self._socket.settimeout(max(seconds, 0.001))

    def _note(self, message: Event) -> None:
        if "event" in message:
            self._events.append(message)

    def _read(self, *, patient: bool = True) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError:
                if not patient:
                    raise
                raise MonitorGoneError("QEMU does not answer") from None
            except OSError as error:
                raise MonitorGoneError(f"QEMU does not answer: {error}") from error
            if not chunk:
                raise MonitorGoneError("QEMU has ended")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = msgspec.json.decode(line)
        return found


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for a socket's path that is short enough for the kernel, however long the path is."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to a socket of a machine. Raises MonitorGoneError."""
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(timeout)
        with reachable(path) as name:
            made.connect(name)
    except OSError as error:
        made.close()
        raise MonitorGoneError(f"QEMU does not listen: {error}") from error
    return made


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, for root alone."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        with reachable(path) as name:
            made.bind(name)
        path.chmod(0o600)
        made.listen(16)
    except BaseException:
        made.close()
        raise
    return made
