"""The Stackyard cloud under measurement: started from this checkout, on a port and in a directory of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
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
    """One cloud; nothing runs until start(). Its state directory is a temporary one."""

    docker_socket: Path | None = None
    state_dir: Path = dataclasses.field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stackyard-bench-")))
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
            password=self.password,
        )

    def start(self) -> float:
        """Runs `stackyard up`; returns the seconds from there until every API has answered."""
        started = time.perf_counter()
        command = ["up", "--state-dir", str(self.state_dir), "--port", str(self.port), "--password", self.password]
        if self.docker_socket:
            command += ["--docker-socket", str(self.docker_socket)]
        self.running = True  # also when `up` fails half-way there may be something to remove
        _stackyard(*command)
        wait_for(self.every_api_answers, seconds=30, what="every API to answer", interval=0.005)
        return time.perf_counter() - started

    def every_api_answers(self) -> bool:
        """Asks each service's root."""
        target = self.target()
        roots = (target.identity, f"{self.url}/image", f"{self.url}/network", target.container, f"{self.url}/healthz")
        return all(answers(root) for root in roots)

    def stop(self) -> None:
        """`stackyard down`: workloads and state stay."""
        _stackyard("down", "--state-dir", str(self.state_dir))

    def remove(self) -> None:
        """`stackyard down --purge`, and the directory."""
        if self.running:
            _stackyard("down", "--state-dir", str(self.state_dir), "--purge")
        self.running = False
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def memory(self) -> tuple[float, int]:
        """Resident MiB of the control plane and the number of its processes (the data plane's daemons excluded)."""
        leader = int((self.state_dir / "stackyard.pid").read_text().split()[0])
        pids = [pid for pid in (leader, *_descendants(leader)) if _name(pid) not in DATA_PLANE]
        return resident_mebibytes(pids), len(pids)


def is_installed() -> bool:
    """True when the command that starts the cloud is there."""
    return STACKYARD.exists()


def _stackyard(*arguments: str) -> None:
    # A file takes the output: with a pipe the daemon that `up` leaves behind could keep it open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(STACKYARD), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=180,
            check=False,
        )
        if done.returncode:
            output.seek(0)
            raise CloudError(f"stackyard {arguments[0]} exited {done.returncode}: {output.read().decode()[-800:]}")


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
