"""The Stackyard cloud under measurement: started from this checkout, on a port and in a directory of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from bench.client import Target, answers, wait_for
from bench.peers.daemons import resident_mebibytes

ROOT = Path(__file__).resolve().parents[1]
STACKYARD = ROOT / ".venv" / "bin" / "stackyard"
# What the host agent starts is no part of the control plane; the peers' agents are not started or counted either.
DATA_PLANE = frozenset({"dnsmasq", "dockerd", "containerd", "containerd-shim", "runc", "conmon", "radvd"})


class CloudError(Exception):
    """The cloud's own command failed; the text is its output."""


def free_port() -> int:
    """A TCP port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclasses.dataclass
class Cloud:
    """One cloud; nothing runs until start(). The state directory is the caller's to remove."""

    state_dir: Path
    docker_socket: Path | None = None
    port: int = dataclasses.field(default_factory=free_port)
    password: str = dataclasses.field(default_factory=lambda: secrets.token_hex(12))
    running: bool = False

    @property
    def url(self) -> str:
        """http://HOST:PORT."""
        return f"http://127.0.0.1:{self.port}"

    def target(self) -> Target:
        """How the benchmark's client reaches it."""
        return Target(
            identity=f"{self.url}/identity/v3",
            image=f"{self.url}/image/v2",
            network=f"{self.url}/network/v2.0",
            container=f"{self.url}/container/v1",
            compute=f"{self.url}/compute/v2.1",
            placement=f"{self.url}/placement",
            password=self.password,
        )

    def start(self) -> float:
        """Runs `stackyard up`; returns the seconds from there until every API has answered."""
        started = time.perf_counter()
        command = ["up", "--state-dir", str(self.state_dir), "--port", str(self.port)]
        if self.docker_socket:
            command += ["--docker-socket", str(self.docker_socket)]
        self.running = True  # also when `up` fails half-way there may be something to remove
        _stackyard(*command, password=self.password)
        target = self.target()
        lists = (f"{target.image}/images", f"{target.network}/networks", f"{target.container}/containers")
        for url in (target.identity, *lists, f"{self.url}/healthz"):
            wait_for(lambda url=url: answers(url), seconds=10, what=url, interval=0.005)  # type: ignore[misc]
        return time.perf_counter() - started

    def stop(self) -> None:
        """`stackyard down`: workloads and state stay."""
        _stackyard("down", "--state-dir", str(self.state_dir))

    def remove(self) -> None:
        """`stackyard down --purge`, when it was ever started."""
        if self.running:
            _stackyard("down", "--state-dir", str(self.state_dir), "--purge")
        self.running = False

    def memory(self) -> tuple[float, int]:
        """Resident MiB of the control plane and the number of its processes (the data plane's daemons excluded)."""
        leader = int((self.state_dir / "stackyard.pid").read_text().split()[0])
        pids = [pid for pid in (leader, *_descendants(leader)) if _name(pid) not in DATA_PLANE]
        return resident_mebibytes(pids), len(pids)


def is_installed() -> bool:
    """True when the command that starts the cloud is there."""
    return STACKYARD.exists()


def _stackyard(*arguments: str, password: str = "") -> None:
    argv, environment = [str(STACKYARD), *arguments], {**os.environ, "STACKYARD_PASSWORD": password}
    # With this set every start of a checkout compiles all of it anew, which no installation does.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # A file takes the output: with a pipe the daemon that `up` leaves behind could keep it open.
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=180, check=False
        )
        if done.returncode:
            log.seek(0)
            raise CloudError(f"stackyard {arguments[0]} exited {done.returncode}: {log.read().decode()[-800:]}")


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
