"""A whole cloud for functional tests: started as a user starts it, driven by unmodified clients, gone without a trace.

Each has a directory, a port, an engine and a public network of its own, so that several run side by side.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml
from scripts.clients import OPENSTACK, PYTHON
from scripts.environments import ROOT
from tests.functional.tenant import Tenant
from tests.functional.traces import traces
from tests.functional.users import Session

STACKYARD = Path(sys.executable).with_name("stackyard")
BAKED = ROOT / ".cache" / "bake"
COMMANDS = Path(__file__).with_name("openstack_commands.py")


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class RealCloud:
    """`up` and `down` as often as wanted; `close` leaves nothing, and fails when something is left all the same."""

    def __init__(self, enter: tuple[str, ...] = ()) -> None:
        self.enter = enter  # what goes before every stackyard command: how to get into a namespace
        self.root = Path(tempfile.mkdtemp(prefix="stackyard-test-"))
        self.state_dir = self.root / "state"
        self.public_cidr, self._claim = claim_cidr()
        self.port = free_port(self.public_cidr)
        self.url = f"http://127.0.0.1:{self.port}"
        # Another engine of this machine is not the tests' to use.
        self.config = self.root / "stackyard.toml"
        self.config.write_text("[engine]\nown_engine = true\n")
        self._clients: dict[str, subprocess.Popen[str]] = {}
        self.id = ""

    # -- the stackyard command ------------------------------------------------------------------------------------

    def stackyard(self, command: str, *arguments: str, timeout: float = 120) -> Done:
        """One command on this cloud's directory, however it ends."""
        argv = [*self.enter, str(STACKYARD), command, "--state-dir", str(self.state_dir), *arguments]
        # Files, for a pipe would stay open in the daemon that `up` leaves behind.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=timeout, cwd="/")
            out.seek(0)
            err.seek(0)
            return Done(done.returncode, out.read(), err.read())

    def succeed(self, command: str, *arguments: str, timeout: float = 120) -> str:
        """The output of a command that must succeed."""
        done = self.stackyard(command, *arguments, timeout=timeout)
        assert done.status == 0, f"stackyard {command} exits {done.status}: {done.out}{done.err}"
        return done.out

    def up(self, *arguments: str) -> str:
        """Start it."""
        options = ("--port", str(self.port), "--public-cidr", self.public_cidr, "--config", str(self.config))
        said = self.succeed("up", *options, *arguments)
        self.id = json.loads((self.state_dir / "cloud.json").read_text())["id"]
        return said

    def bake(self) -> None:
        """The images that tests use, built once for all of them."""
        self.succeed("bake", "--cache-dir", str(BAKED), "busybox", "nginx")

    def close(self) -> None:
        """Remove the cloud. AssertionError when anything of it is left on this machine."""
        try:
            for client in self._clients.values():
                client.communicate()
            if (self.state_dir / "cloud.json").exists():
                self.id = json.loads((self.state_dir / "cloud.json").read_text())["id"]
            log = self.state_dir / "log" / "stackyard.log"
            errors = crashes(log.read_text()) if log.exists() else []
            self.succeed("down", "--purge")
            assert not (self.state_dir.exists() and self.id), "the state directory is left after purge"
            left = traces(self.id, self.root, self.public_cidr) if self.id else []
            assert not left, "left after purge: " + "; ".join(left)
            assert not errors, "failures in the cloud's log: " + "\n".join(errors)
        finally:
            self._claim.close()
            shutil.rmtree(self.root, ignore_errors=True)

    # -- who uses it ----------------------------------------------------------------------------------------------

    def session(self, cloud: str = "stackyard") -> Session:
        """A user of clouds.yaml (demo, or stackyard-admin) over HTTP."""
        auth = yaml.safe_load((self.state_dir / "clouds.yaml").read_text())["clouds"][cloud]["auth"]
        return Session(self.url, auth["username"], auth["password"], auth["project_name"])

    def tenant(self, cidr: str = "10.77.0.0/24") -> Tenant:
        """A new project."""
        return Tenant(self.url, self.session("stackyard-admin"), cidr)

    def environment(self, cloud: str = "stackyard") -> dict[str, str]:
        """What a shell has in which the openstack client is used."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return kept | {"OS_CLIENT_CONFIG_FILE": str(self.state_dir / "clouds.yaml"), "OS_CLOUD": cloud}

    def client(self, *words: str, cloud: str = "stackyard") -> Done:
        """One command of the openstack client, however it ends."""
        if cloud not in self._clients:
            argv = [str(PYTHON), str(COMMANDS)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._clients[cloud] = subprocess.Popen(argv, text=True, env=self.environment(cloud), **pipes)  # type: ignore[call-overload]
        process = self._clients[cloud]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
        return Done(*json.loads(process.stdout.readline()))

    def openstack(self, *words: str, cloud: str = "stackyard") -> str:
        """What a command of the openstack client prints, which must succeed."""
        done = self.client(*words, cloud=cloud)
        assert done.status == 0, f"openstack {' '.join(words)} exits {done.status}: {done.out}{done.err}"
        return done.out

    def look(self, *words: str, cloud: str = "stackyard") -> Any:
        """The same, its answer as data. The format goes before all that belongs to a container's command."""
        return json.loads(self.openstack(*words, "-f", "json", cloud=cloud))

    def pipe(self, source: Path, *words: str) -> str:
        """`openstack WORDS < source`, in a process of its own."""
        with source.open("rb") as data:
            done = subprocess.run(
                [str(OPENSTACK), *words], stdin=data, capture_output=True, text=True, env=self.environment()
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # -- what may happen to it ------------------------------------------------------------------------------------

    def docker(self, *arguments: str) -> str:
        """Docker's own client on the cloud's engine."""
        argv = ["docker", "--host", f"unix://{self.state_dir}/docker/docker.sock", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def pid(self) -> int:
        """The cloud's process."""
        return int((self.state_dir / "stackyard.pid").read_text())

    def engine_pid(self) -> int:
        """Its container engine."""
        return int((Path("/run/stackyard") / self.id / "docker" / "dockerd.pid").read_text())


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """End one process, and wait until it has ended."""
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, number)
        gone = select.poll()
        gone.register(handle, select.POLLIN)
        assert gone.poll(10_000), f"process {pid} survives {number.name}"
    finally:
        os.close(handle)


def free_port(public_cidr: str) -> int:
    """A TCP port that nobody listens on, below those that the kernel hands out by itself, from the subnet's own ten."""
    first = 20000 + 10 * int(public_cidr.split(".")[2])
    for port in range(first, first + 10):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def claim_cidr() -> tuple[str, IO[str]]:
    """A /24 that no other cloud of any test has and no route of this host leads to; given up when the file closes."""
    routes = json.loads(subprocess.run(["ip", "-json", "-4", "route"], check=True, capture_output=True).stdout)
    taken = [ipaddress.ip_network(route["dst"]) for route in routes if "/" in route["dst"]]
    for third in range(100, 250):
        wanted = ipaddress.ip_network(f"172.24.{third}.0/24")
        claim = (Path(tempfile.gettempdir()) / f"stackyard-test-{third}.lock").open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            continue
        if not any(wanted.overlaps(other) for other in taken):
            return str(wanted), claim
        claim.close()
    raise AssertionError("no subnet is free for the public network")


def crashes(log: str) -> list[str]:
    """The lines of the cloud's log that tell of a mistake in the cloud itself."""
    return [line[:3000] for line in log.splitlines() if '"level": "error"' in line or '"exception": ' in line]
