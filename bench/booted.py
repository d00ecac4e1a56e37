"""Rows of servers that run for good: from the request to what they say, against the bare tools with the same files."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.client import wait_for
from bench.context import Context, UnavailableError
from bench.engine import Engine, busybox_files
from bench.probe import Namespace, fetch
from bench.rows import Goal, Row
from bench.servers import Side, is_active, made_of, remove

DOCKER = "Docker server to ACTIVE and answering HTTP"
SYSTEM = "system container to ACTIVE"
MACHINE = "machine to its first kernel message"
DOCKER_GOAL, BARE_GOAL = Goal("ratio", "<=", 1.0), Goal("ratio", "<=", 1.25)
MARK = b"Linux version"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "bake"
_WEB, _SYSTEM = "bench-web", "bench-system"
_COMMAND = ("httpd", "-f", "-p", "80", "-h", "/www")
_INIT = b"#!/bin/sh\ntrap 'exit 0' TERM USR2 PWR\nwhile :; do sleep 3600 & wait $!; done\n"


def docker_server(context: Context) -> Iterator[Row]:
    """A page of a web server, fetched from another server of the network; `docker run -d` and the same page."""
    engine = context.engine
    files = busybox_files("sh", "sleep", "httpd", extra={"www/index.html": (b"hello\n", 0o644)})
    change = f"CMD {json.dumps(_COMMAND)}"
    engine.docker("import", "--change", change, "-", f"{_WEB}:latest", data=files)
    side = _side(context, _WEB, "docker", engine.saved(_WEB))
    probe = _create(side, "bench-probe")
    try:
        _wait_active(side, probe)
        namespace = Namespace(engine.process(f"nova-{probe}"))
        try:
            yield _row(context, DOCKER, DOCKER_GOAL, lambda: _page(side, namespace), lambda: _bare_page(engine))
        finally:
            namespace.close()
    finally:
        remove(side, [probe])


def system_container(context: Context) -> Iterator[Row]:
    """A system with its own init; the same files and the same init by `docker run -d`."""
    engine = context.engine
    files = busybox_files("sh", "sleep", extra={"sbin/init": (_INIT, 0o755)})
    engine.docker("import", "-", f"{_SYSTEM}:latest", data=files)
    side = _side(context, _SYSTEM, "rootfs", files)

    def ours() -> float:
        started = time.perf_counter()
        server = _create(side, "bench-system")
        _wait_active(side, server)
        elapsed = time.perf_counter() - started
        remove(side, [server])
        return elapsed

    def bare() -> float:
        started = time.perf_counter()
        container = engine.docker("run", "-d", _SYSTEM, "/sbin/init")
        elapsed = time.perf_counter() - started
        engine.docker("rm", "-f", container)
        return elapsed

    yield _row(context, SYSTEM, BARE_GOAL, ours, bare)


def machine(context: Context) -> Iterator[Row]:
    """The baked guest's disk; the command line of our own machine, with files and a tap in place of what it is handed.

    What a hand would have to do before, the overlay of the disk and the tap, is not counted on its side.
    """
    guest = baked()
    side = _side(context, "bench-guest", "bare", guest.read_bytes(), disk_format="qcow2", flavor="m1.nano")
    machines = context.engine.state_dir / "machines"
    with tempfile.TemporaryDirectory(prefix="stackyard-bench-") as directory:
        by_hand = ByHand(Path(directory), guest)

        def ours() -> float:
            started = time.perf_counter()
            server = _create(side, "bench-machine")
            wait_for(lambda: _says(machines, server), seconds=120, what="the first kernel message", interval=0.002)
            elapsed = time.perf_counter() - started
            by_hand.learn(server)
            remove(side, [server])
            return elapsed

        yield _row(context, MACHINE, BARE_GOAL, ours, by_hand.run, rounds=6)


def baked() -> Path:
    """The guest's disk; raises UnavailableError where it was not baked before, as packages cannot be fetched here."""
    from stackyard.bake.guest import found

    disk = found(CACHE)
    if disk is None:
        raise UnavailableError(f"no guest is baked: stackyard bake --no-register --cache-dir {CACHE} guest")
    return disk.disk


@dataclasses.dataclass
class ByHand:
    """QEMU with the command line of a machine of ours, started and ended by hand."""

    directory: Path
    base: Path
    words: list[str] = dataclasses.field(default_factory=list)

    def learn(self, server: str) -> None:
        """Take the command line of a machine that runs."""
        if self.words:
            return
        for entry in Path("/proc").iterdir():
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() and (entry / "cmdline").exists() else b""
            if f"guest={server}".encode() in line.split(b"\0"):
                self.words = line.decode().rstrip("\0").split("\0")
                return
        raise RuntimeError(f"the process of machine {server} is not found")

    def run(self) -> float:
        """Seconds from the command to the first kernel message."""
        overlay, log = self.directory / "overlay.qcow2", self.directory / "serial.log"
        log.unlink(missing_ok=True)
        behind = ["-b", str(self.base), "-F", "qcow2"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *behind, str(overlay), "1G"], check=True)
        subprocess.run(["ip", "tuntap", "add", "bench-tap", "mode", "tap"], check=True)
        try:
            started = time.perf_counter()
            process = subprocess.Popen(plain_command(self.words, overlay, log), stdin=subprocess.DEVNULL)
            try:
                wait_for(lambda: _has(log), seconds=120, what="the first kernel message by hand", interval=0.002)
                return time.perf_counter() - started
            finally:
                process.kill()
                process.wait()
        finally:
            subprocess.run(["ip", "link", "delete", "bench-tap"], check=True)


def plain_command(words: Sequence[str], disk: Path, log: Path) -> list[str]:
    """A machine's command line with paths and a tap of its own in place of descriptors, and without control sockets."""
    made: list[str] = [words[0]]
    for option, value in zip(words[1:], [*words[2:], ""], strict=True):
        if not option.startswith("-") or option == "-add-fd":
            continue
        if option in ("-mon", "-chardev") and "serial" not in value:
            continue
        made.append(option)
        if not value.startswith("-"):
            made.append(_plain(option, value, disk, log))
    return made


def _plain(option: str, value: str, disk: Path, log: Path) -> str:
    match option:
        case "-netdev":
            return f"tap,id={value.split('id=')[1].split(',', maxsplit=1)[0]},ifname=bench-tap,script=no,downscript=no"
        case "-chardev":
            return f"file,id=serial,path={log}"
        case "-blockdev":
            file = {"driver": "file", "filename": str(disk), "discard": "unmap"}
            return json.dumps({"driver": "qcow2", "node-name": "root", "discard": "unmap", "file": file})
        case _:
            return value


def _row(
    context: Context, name: str, goal: Goal, ours: Callable[[], float], bare: Callable[[], float], rounds: int = 16
) -> Row:
    """Both sides in turns; the first of each only warms caches."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(3 if context.quick else rounds):
        for seconds, side in zip(taken, (ours, bare), strict=True):
            elapsed = side()
            if number:
                seconds.append(elapsed * 1000)
    return Row(name, "ms", goal, statistics.median(taken[0]), statistics.median(taken[1]))


def _side(
    context: Context,
    name: str,
    container_format: str,
    data: bytes,
    *,
    disk_format: str = "raw",
    flavor: str = "bench.tiny",
) -> Side:
    formats = {"container_format": container_format, "disk_format": disk_format}
    return made_of(context.client, name, formats, data, flavor)


def _create(side: Side, name: str) -> str:
    return str(side.client.post(side.url, side.body(name))["server"]["id"])


def _wait_active(side: Side, server: str) -> dict[str, object]:
    shown: dict[str, object] = {}

    def active() -> bool:
        shown.update(side.client.get(f"{side.url}/{server}")["server"])
        return is_active(shown)

    wait_for(active, seconds=120, what=f"server {server} to be ACTIVE", interval=0.002)
    return shown


def _page(side: Side, namespace: Namespace) -> float:
    started = time.perf_counter()
    server = _create(side, "bench-web")
    shown = _wait_active(side, server)
    addresses = shown["addresses"]
    assert isinstance(addresses, dict)
    address = next(entry["addr"] for entry in next(iter(addresses.values())) if entry["version"] == 4)
    namespace.reach(address, fetch)
    elapsed = time.perf_counter() - started
    remove(side, [server])
    return elapsed


def _bare_page(engine: Engine) -> float:
    started = time.perf_counter()
    container = engine.docker("run", "-d", _WEB)
    elapsed = time.perf_counter() - started
    # Finding out the address is the benchmark's own need and not counted.
    elapsed += fetch(engine.address(container))
    engine.docker("rm", "-f", container)
    return elapsed


def _says(machines: Path, server: str) -> bool:
    return _has(machines / server / "console.log")


def _has(log: Path) -> bool:
    try:
        return MARK in log.read_bytes()
    except FileNotFoundError:
        return False
