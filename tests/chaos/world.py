"""A whole cloud to hurt: real engine, real kernel, in a network namespace of its own, driven over HTTP from outside.

The namespace makes what is left over easy to see: whatever is in it was made by this cloud.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

STACKYARD = Path(sys.executable).with_name("stackyard")
PORT = 5000
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_Result = TypeVar("_Result")


CONFIG = """
[engine]
own_engine = true
[compute]  # twenty servers and more on the smallest of hosts
cpu_allocation_ratio = 64.0
ram_allocation_ratio = 8.0
disk_allocation_ratio = 64.0
"""


class World:
    """One cloud and all that it may touch. `up` and `kill` as often as wanted; `close` leaves nothing."""

    def __init__(self) -> None:
        self._name = f"chaos-{uuid.uuid4().hex[:8]}"
        self.namespace = Path("/run/netns") / self._name
        self.state_dir = Path(tempfile.mkdtemp(prefix="stackyard-chaos-")) / "state"
        self.config = self.state_dir.parent / "stackyard.toml"
        # Another engine of this machine is not ours to hurt.
        self.config.write_text(CONFIG)
        run("ip", "netns", "add", self._name)
        run("ip", "-n", self._name, "link", "set", "lo", "up")

    def up(self) -> None:
        """`stackyard up`; returns when the cloud answers."""
        self._stackyard("up", "--port", str(PORT), "--config", str(self.config))

    def doctor(self) -> str:
        """What `stackyard doctor` complains of: where kernel or engine differ from the database."""
        argv = ["nsenter", f"--net={self.namespace}", str(STACKYARD), "doctor", "--state-dir", str(self.state_dir)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return "" if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-2000:]

    def kill(self) -> None:
        """`kill -9` of the cloud's process (not of its engine); returns when it is gone."""
        pid = int((self.state_dir / "stackyard.pid").read_text().split()[0])
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            gone = select.poll()
            gone.register(handle, select.POLLIN)
            assert gone.poll(10_000), f"process {pid} survives SIGKILL"
        finally:
            os.close(handle)

    def close(self) -> None:
        """Removes the cloud, and then the namespace."""
        try:
            self._stackyard("down", "--purge")
        finally:
            run("ip", "netns", "delete", self._name)
            shutil.rmtree(self.state_dir.parent, ignore_errors=True)

    def docker(self, *arguments: str, data: bytes | None = None) -> str:
        """Docker's own client on the cloud's engine."""
        socket_path = self.state_dir / "docker" / "docker.sock"
        return run("docker", "-H", f"unix://{socket_path}", *arguments, data=data).decode()

    def client(self) -> Client:
        """A connection of the administrator's, signed in."""
        return Client(self)

    @property
    def cloud_id(self) -> str:
        """The cloud's own id, which the names of what it makes carry."""
        return str(json.loads((self.state_dir / "cloud.json").read_text())["id"])

    def sandboxes(self) -> frozenset[str]:
        """The namespaces of containers that the cloud keeps, by container id."""
        directory = Path("/run/stackyard") / self.cloud_id / "netns"
        return frozenset(entry.name for entry in directory.iterdir()) if directory.is_dir() else frozenset()

    def kernel(self) -> dict[str, list[str]]:
        """What the cloud has in the kernel: namespaces, links with their addresses, and rules; comparable over time."""
        own = [path.name for path in Path("/run/netns").iterdir() if self.cloud_id in path.name]
        links, rules = [], []
        for name in (self._name, *own):
            enter = ("nsenter", f"--net=/run/netns/{name}")
            for link in json.loads(run(*enter, "ip", "-json", "addr")):
                fixed = sorted(entry["local"] for entry in link["addr_info"] if entry["scope"] != "link")
                links.append(f"{name} {link['ifname']} {' '.join(fixed)}")
            listing = json.loads(run(*enter, "nft", "--json", "list", "ruleset"))["nftables"]
            rules += [f"{name} {json.dumps(_timeless(rule), sort_keys=True)}" for rule in listing]
        return {"namespaces": sorted(own), "links": sorted(links), "rules": sorted(rules)}

    def rows(self, query: str) -> list[str]:
        """What the cloud's database answers, a line a row, sorted. For what no API shows: counters and marks."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.state_dir}/stackyard.sqlite?mode=ro", uri=True)
        ) as database:
            return sorted(" ".join(map(str, row)) for row in database.execute(query))

    def containers(self) -> dict[str, str]:
        """The engine's containers, whatever their state: name -> id."""
        lines = self.docker("ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def machines(self) -> dict[str, int]:
        """The machines of this cloud that run: server id -> process id, of what the kernel says of their processes."""
        found: dict[str, int] = {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (
                    (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    if process.name.isdigit()
                    else []
                )
                if words and Path(words[0]).name.startswith("qemu-system"):
                    (server,) = {part for word in words for part in re.findall(r"guest=([0-9a-f-]{36})", word)}
                    if not (self.state_dir / "machines" / server).exists():
                        continue  # another cloud's
                    assert server not in found, f"machine {server} runs twice"
                    found[server] = int(process.name)
        return found

    def _stackyard(self, command: str, *arguments: str) -> None:
        log = self.state_dir.parent / "command.log"
        argv = ["nsenter", f"--net={self.namespace}", str(STACKYARD), command, "--state-dir", str(self.state_dir)]
        with log.open("wb") as output:  # a pipe would stay open in the daemon that `up` leaves behind
            done = subprocess.run(
                [*argv, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=120, check=False
            )
        assert done.returncode == 0, f"stackyard {command} exited {done.returncode}: {log.read_text()[-2000:]}"


class _Connection(http.client.HTTPConnection):
    """A connection whose socket is made in another network namespace, where it stays."""

    def __init__(self, namespace: Path) -> None:
        super().__init__("127.0.0.1", PORT, timeout=60)
        self._namespace = namespace

    def connect(self) -> None:
        self.sock = _in_namespace(self._namespace, lambda: socket.create_connection((self.host, self.port), 60))


class Gone(Exception):
    """The cloud ended before it answered: what was asked may have happened or not."""


class Client:
    """JSON over one connection."""

    def __init__(self, world: World) -> None:
        self._connection = _Connection(world.namespace)
        auth = yaml.safe_load((world.state_dir / "clouds.yaml").read_text())["clouds"]["stackyard-admin"]["auth"]
        domain = {"id": "default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": auth["username"], "password": auth["password"], "domain": domain}},
                },
                "scope": {"project": {"name": auth["project_name"], "domain": domain}},
            }
        }
        self._headers = {"Content-Type": "application/json", "OpenStack-API-Version": "container 1.40, compute 2.45"}
        status, headers, answer = self._send("POST", "/identity/v3/auth/tokens", body)
        assert status == 201, answer
        self._headers["X-Auth-Token"] = headers["X-Subject-Token"]
        self.project = json.loads(answer)["token"]["project"]["id"]

    def request(self, method: str, path: str, body: object = None, *, accept: tuple[int, ...] = ()) -> Any:
        """The decoded answer. AssertionError for a status of 400 and above that is not in `accept`, Gone when cut."""
        status, _, answer = self._send(method, path, body)
        assert status < 400 or status in accept, f"{method} {path}: {status} {answer[:500]!r}"
        return json.loads(answer) if answer and status < 400 else None

    def upload(self, path: str, data: bytes) -> None:
        """PUT of octets, which must succeed."""
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        self._connection.request("PUT", path, data, headers)
        answer = self._connection.getresponse()
        assert answer.status < 400, f"PUT {path}: {answer.status} {answer.read()[:500]!r}"
        answer.read()

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: object) -> tuple[int, http.client.HTTPMessage, bytes]:
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            raise Gone(f"{method} {path}: {error!r}") from error


def eventually(check: Callable[[], str], *, seconds: float, what: str) -> None:
    """Repeats the check until it has nothing to say; at the deadline fails with what it said last."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while complaint := check():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s: {complaint}"
        pause.wait(0.1)


def run(*argv: str, data: bytes | None = None) -> bytes:
    """A command's output. AssertionError with its errors when it fails."""
    done = subprocess.run(argv, input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.decode(errors='replace')[-1000:]}"
    return done.stdout


def _in_namespace(path: Path, work: Callable[[], _Result]) -> _Result:
    """The result of `work`, done by a thread that has gone into the namespace and ends there."""
    results: list[_Result] = []
    errors: list[OSError] = []

    def enter() -> None:
        try:
            with path.open() as namespace:
                if _libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(work())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _timeless(rule: Any) -> Any:
    """A rule without what differs between two equal ones: handles, counters, the order of a set, conntrack zones."""
    if isinstance(rule, dict):
        dropped = {"handle", "index", "metainfo", "counter"}
        kept = {key: _timeless(value) for key, value in rule.items() if key not in dropped}
        if isinstance(kept.get("elem"), list):
            kept["elem"] = sorted(kept["elem"], key=lambda element: json.dumps(element, sort_keys=True))
        return kept
    if isinstance(rule, list):
        return [_timeless(item) for item in rule]
    return re.sub(r"\s+", " ", rule) if isinstance(rule, str) else rule
