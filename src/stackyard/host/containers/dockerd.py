"""Finds the host's container engine, or starts the installed dockerd as an engine of our own.

Our engine keeps everything under the state directory and /run/stackyard, makes no bridge and no firewall rule, has our
OCI runtime registered, and outlives us, as the workloads in it do; the next start adopts it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stackyard.host.containers.docker_create import checked_id
from stackyard.host.containers.docker_http import DockerHTTP
from stackyard.host.containers.os_errors import told
from stackyard.host.containers.runtime import NAME, Runtime
from stackyard.host.containers.sandboxes import RUN_DIR, remove_empty
from stackyard.host.errors import EngineUnavailableError, HostError

_SYSTEM_SOCKET = "/var/run/docker.sock"
_SOCKET_PATH_LIMIT = 100  # the kernel takes 107 bytes; containerd's own sockets are elsewhere
_POLL_INTERVAL = 0.01
_LOG_TAIL = 5
_ENVIRONMENT = frozenset(
    {"home", "tmpdir", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir"}
)
_WITHOUT_BRIDGE = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")


@dataclass(frozen=True)
class FoundEngine:
    """Where an engine listens. `daemon` is set when it is our own, which may still be starting."""

    socket_path: str
    daemon: Dockerd | None = None

    def wait_ready(self, timeout: float = 30) -> None:
        """Return once it answers; EngineUnavailableError with the cause when it does not in time."""
        if self.daemon is not None:
            self.daemon.wait_ready(timeout)
        elif not DockerHTTP(self.socket_path).ping():
            raise EngineUnavailableError(f"no container engine answers at {self.socket_path}")

    def revive(self) -> None:
        """Start our own engine again if it has ended; another's is for its owner to start. Does not wait."""
        if self.daemon is not None:
            self.daemon.start()


def find_engine(
    configured: str | None, state_dir: Path, cloud_id: str, *, bridge: bool = False, own_only: bool = False
) -> FoundEngine:
    """The engine to use; returns at once, `wait_ready` waits.

    In this order: the socket that is configured; our own engine, when this state directory has one, since its
    containers are there (started again if need be); the one that DOCKER_HOST or the system's socket leads to; our own,
    started now. `own_only` passes over the system's. HostError when nothing answers and dockerd is not installed.
    """
    if configured is not None:
        return FoundEngine(configured.removeprefix("unix://"))
    own = Dockerd(state_dir, cloud_id, bridge=bridge)
    if not own.exists() and not own_only:
        for path in _system_sockets():
            if DockerHTTP(path).ping():
                return FoundEngine(path)
    own.start()
    return FoundEngine(str(own.socket_path), own)


def running_engine(configured: str | None, state_dir: Path, cloud_id: str) -> str | None:
    """The socket of the engine that find_engine would give, when it answers now; None otherwise. Starts nothing."""
    own = Dockerd(state_dir, cloud_id)
    if configured is not None:
        candidates = [configured.removeprefix("unix://")]
    else:
        candidates = [str(own.socket_path)] if own.exists() else _system_sockets()
    return next((path for path in candidates if DockerHTTP(path).ping()), None)


def stop_engine(state_dir: Path, cloud_id: str, *, remove_data: bool = False) -> None:
    """Stop our own engine, if this state directory has one; `remove_data` also removes its images and containers."""
    Dockerd(state_dir, cloud_id).stop(remove_data=remove_data)


class Dockerd:
    """Our own dockerd. With `bridge` it has Docker's usual docker0 and firewall rules, to compare with."""

    def __init__(self, state_dir: Path, cloud_id: str, *, bridge: bool = False) -> None:
        self._directory = state_dir / "docker"
        self._run_dir = RUN_DIR / checked_id(cloud_id) / "docker"
        self._pid_file = self._run_dir / "dockerd.pid"
        self._bridge = bridge
        self._runtime = Runtime(state_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self.log = self._directory / "dockerd.log"
        near = self._directory / "docker.sock"
        self.socket_path = near if len(os.fsencode(near)) <= _SOCKET_PATH_LIMIT else self._run_dir / "docker.sock"

    def exists(self) -> bool:
        """Whether this state directory has ever had an engine of its own."""
        return (self._directory / "data").is_dir()

    def pid(self) -> int | None:
        """The process, when it runs. A number that another program has by now is not taken for it."""
        pid, arguments = _recorded(self._pid_file)
        return pid if f"--pidfile={self._pid_file}".encode() in arguments else None

    def _running(self) -> int | None:
        """The process, even when it has been started just now and has not written its number yet."""
        process = self._process
        if process is not None and process.poll() is None:
            if Path(f"/proc/{process.pid}/cmdline").read_bytes():
                return process.pid
            process.wait()  # it was killed: its memory is gone, and it is the next moment
        return self.pid()

    def start(self) -> None:
        """Start it unless it runs; returns without waiting for it."""
        with self._starting, told("start dockerd"):
            self._refresh_runtime()
            if self._running() is None:
                self._start()

    def _start(self) -> None:
        dockerd = shutil.which("dockerd", path=_path())
        if dockerd is None or _oci_runtime() is None:
            missing = "dockerd" if dockerd is None else "runc"
            raise HostError(f"no Docker Engine answers and {missing} is not installed: install docker.io, or start one")
        for directory in (self._directory / "data", self._run_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._pid_file.unlink(missing_ok=True)
        self._forget_dead_containerd()
        with self.log.open("ab") as log:
            # A session of its own: it must outlive us and our terminal.
            self._process = subprocess.Popen(
                [dockerd, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=_environment(),
            )
        # Containers inherit the engine's limit of open files: ours may be a terminal's low one.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (hard, hard))

    def wait_ready(self, timeout: float = 30) -> None:
        """Return once it answers; EngineUnavailableError, naming its log and last words, when it does not."""
        deadline = time.monotonic() + timeout
        client, pause = DockerHTTP(str(self.socket_path)), threading.Event()
        while not client.ping():
            if self._process is not None and self._process.poll() is not None:
                raise EngineUnavailableError(f"dockerd ended at once, see {self.log}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EngineUnavailableError(f"dockerd does not answer, see {self.log}: {self._last_words()}")
            pause.wait(_POLL_INTERVAL)

    def stop(self, *, remove_data: bool = False, timeout: float = 30) -> None:
        """End it (containers that run stay, unless removed before) and wait; with `remove_data` leave no trace."""
        pid = self._running()
        if pid is not None:
            self._end(pid, timeout)
        if remove_data:
            self._unmount_leftovers()
            shutil.rmtree(self._directory, ignore_errors=True)
            shutil.rmtree(self._run_dir, ignore_errors=True)
            shutil.rmtree(self._runtime.path.parent, ignore_errors=True)
            remove_empty(self._run_dir.parent / "netns")

    def _arguments(self) -> list[str]:
        return [
            f"--data-root={self._directory / 'data'}",
            f"--exec-root={self._run_dir / 'exec'}",
            f"--pidfile={self._pid_file}",
            f"--host=unix://{self.socket_path}",
            f"--add-runtime={NAME}={self._runtime.path}",
            "--live-restore",
            "--log-opt=max-size=16m",
            "--log-opt=max-file=2",
            # Ours alone: the system's daemon.json would clash with these options and is about another engine.
            f"--config-file={self._configuration()}",
            *(() if self._bridge else _WITHOUT_BRIDGE),
        ]

    def _configuration(self) -> Path:
        path = self._directory / "daemon.json"
        path.write_text("{}\n")
        return path

    def _forget_dead_containerd(self) -> None:
        """dockerd would wait for the containerd of one that was killed, even for what is left of a dead one."""
        record = self._run_dir / "exec" / "containerd" / "containerd.pid"
        if not any(str(self._run_dir).encode() in word for word in _recorded(record)[1]):
            record.unlink(missing_ok=True)

    def _refresh_runtime(self) -> None:
        """Write the runtime's script: one from an older version of ours may lack what this one relies on."""
        oci_runtime = _oci_runtime()
        if oci_runtime is not None:
            self._runtime.install(oci_runtime)

    def _end(self, pid: int, timeout: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if self._running() == pid:
                    signal.pidfd_send_signal(handle, signal.SIGTERM)
                if not _wait(handle, timeout):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    _wait(handle, timeout)
            finally:
                os.close(handle)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _unmount_leftovers(self) -> None:
        """What a killed engine left mounted under its own directories, deepest first."""
        own = (f"{self._directory}/", f"{self._run_dir}/")
        mounted = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for path in reversed([path for path in mounted if path.startswith(own)]):
            subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "it wrote no log"
        return " | ".join(lines[-_LOG_TAIL:]) or "it wrote no log"


def _recorded(pid_file: Path) -> tuple[int, list[bytes]]:
    """The process that a file names, and its arguments: none when it has ended, even if nobody has noticed yet."""
    try:
        pid = int(pid_file.read_text())
        return pid, Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0, []


def _wait(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def _oci_runtime() -> str | None:
    """What runs before ours is done: runc, which works everywhere; crun does not with mixed versions of cgroups."""
    return shutil.which("runc", path=_path()) or shutil.which("crun", path=_path())


def _path() -> str:
    """PATH with the directories of system programs, which a user's shell may leave out."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])


def _environment() -> dict[str, str]:
    """What dockerd is to know of ours: not our secrets, nor a service manager's socket that is meant for us."""
    kept = {name: value for name, value in os.environ.items() if name.lower() in _ENVIRONMENT}
    return kept | {"PATH": _path()}


def _system_sockets() -> list[str]:
    host = os.environ.get("DOCKER_HOST", "")
    named = [host.removeprefix("unix://")] if host.startswith("unix://") else []
    return [*named, _SYSTEM_SOCKET]
