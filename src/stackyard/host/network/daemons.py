"""Daemons that serve a namespace: found again after a restart by their configuration's name, never started twice."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stackyard.host.errors import HostError
from stackyard.host.network import netns

_START_SECONDS = 15
_STOP_SECONDS = 3.0


@dataclass(frozen=True)
class Daemon:
    """A program that puts itself in the background and writes `pid_file`.

    `marker` is an argument that only this daemon with this very configuration has; `namespace` is where it runs.
    """

    namespace: str
    arguments: tuple[str, ...]
    pid_file: Path
    marker: str

    def pid(self) -> int | None:
        """Its process, when it runs, in the right namespace, with this configuration."""
        found = recorded_pid(self.pid_file)
        if found is None or self.marker not in command_line(found):
            return None
        return found if _in_namespace(found, self.namespace) else None

    def start(self) -> None:
        """Start it. nsenter, not `ip netns exec`: that one hides the control groups. Raises HostError."""
        command = ["nsenter", f"--net={netns.path_of(self.namespace)}", "--", *self.arguments]
        # A file, not a pipe: a daemon that keeps its error output open must not keep us waiting.
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=_START_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise HostError(f"{self.arguments[0]} cannot be started: {error}") from error
            if done.returncode != 0:
                said.seek(0)
                reason = said.read().decode(errors="replace").strip()[-300:] or f"exit code {done.returncode}"
                raise HostError(f"{self.arguments[0]} did not start: {reason}")

    def reload(self) -> None:
        """Make it read its files again."""
        found = self.pid()
        if found is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, signal.SIGHUP)


def recorded_pid(pid_file: Path) -> int | None:
    """The number in a pid file."""
    try:
        return int(pid_file.read_text().strip())
    except (OSError, ValueError):
        return None


def command_line(pid: int) -> list[str]:
    """Arguments of a process; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).stat().st_ino == Path(other).stat().st_ino
    except OSError:
        return False


def _in_namespace(pid: int, namespace: str) -> bool:
    return _same_file(f"/proc/{pid}/ns/net", netns.path_of(namespace))


def processes_in(namespace: str, programs: tuple[str, ...]) -> Iterator[int]:
    """Processes of these programs in the namespace; only our daemons live in a router's or server's namespace."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _in_namespace(int(entry.name), namespace):
            with contextlib.suppress(OSError):
                if (entry / "comm").read_text().strip() in programs:
                    yield int(entry.name)


def end_recorded(pid_file: Path, directory: Path) -> None:
    """End the process of a pid file when its arguments name the directory, which only we give it."""
    found = recorded_pid(pid_file)
    if found is not None and any(str(directory) in word for word in command_line(found)):
        end(found)


def end(pid: int) -> None:
    """End a process, by force when it does not listen; returns when it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if waiter.poll(_STOP_SECONDS * 1000):
                return
    finally:
        os.close(handle)
