"""Rows of throughput: TCP between two containers, ours and Docker's own bridge in turns."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.client import wait_for
from bench.container_calls import container_body, own_network, remove
from bench.context import Context
from bench.rows import Goal, Row

ONE_HOST = "throughput between containers, one host"
ACROSS = "throughput between containers, two hosts"
GOAL = Goal("ratio", ">=", 0.95)
PORT = 5201


def one_host(context: Context) -> Iterator[Row]:
    """iperf3 from one container to another, on either side, in turns."""
    client, engine = context.client, context.engine
    network = own_network(client)
    base = f"{client.target.container}/containers"
    made = [str(client.post(f"{base}?run=true", container_body(network, f"flow{n}"))["uuid"]) for n in range(2)]
    theirs = engine.run_all(2)
    try:
        for uuid in made:
            wait_for(lambda uuid=uuid: _is_running(context, uuid), seconds=60, what=f"container {uuid} to run")  # type: ignore[misc]
        shown = client.get(f"{base}/{made[0]}")
        ours = next(entry["addr"] for entry in next(iter(shown["addresses"].values())) if entry["version"] == 4)
        ends = (
            (_enter(engine.process(f"zun-{made[0]}")), _enter(engine.process(f"zun-{made[1]}")), ours),
            (_enter(engine.process(theirs[0])), _enter(engine.process(theirs[1])), engine.address(theirs[0])),
        )
        figures = compared(ends, rounds=2 if context.quick else 15, seconds=1 if context.quick else 2)
    finally:
        remove(client, made)
        engine.docker("rm", "-f", *theirs)
    yield Row(
        ONE_HOST, "Gbit/s", GOAL, *figures, "iperf3, one TCP stream; reference: two containers on Docker's bridge"
    )


def across(context: Context) -> Iterator[Row]:
    """The same between two hosts, by our tunnel and by one that was made by hand."""
    from bench.across_hosts import across_hosts

    rounds, seconds = (2, 1) if context.quick else (15, 2)
    with tempfile.TemporaryDirectory(prefix="stackyard-bench-") as directory:
        ours, by_hand = across_hosts(Path(directory), rounds=rounds, seconds=seconds)
    note = "iperf3, one TCP stream; reference: a VXLAN device and a bridge made by hand on each host"
    yield Row(ACROSS, "Gbit/s", GOAL, ours, by_hand, note)


def compared(ends: Sequence[tuple[list[str], list[str], str]], *, rounds: int, seconds: int) -> tuple[float, float]:
    """Medians in Gbit/s of flows in turns. An end is how to enter the server's and the client's namespace, and the
    server's address."""
    taken: list[list[float]] = [[] for _ in ends]
    for number in range(rounds + 1):
        for (server, client, address), found in zip(ends, taken, strict=True):
            flow = _flow(server, client, address, seconds)
            if number:  # the first of each only warms the way up
                found.append(flow)
    ours, reference = (statistics.median(found) for found in taken)
    return ours, reference


def _flow(server: list[str], client: list[str], address: str, seconds: int) -> float:
    listening = subprocess.Popen(
        [*server, "iperf3", "--server", "--one-off", "--port", str(PORT)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        command = [*client, "iperf3", "--client", address, "--port", str(PORT), "--time", str(seconds), "--json"]
        said: dict[str, dict[str, dict[str, float]]] = {}

        def measured() -> bool:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            with contextlib.suppress(ValueError):
                said.update(json.loads(done.stdout))
            return "sum_received" in said.get("end", {})  # the exit status is 0 even when nobody answered

        wait_for(measured, seconds=20 + seconds, what=f"iperf3 to {address}")  # the server may not listen yet
        return said["end"]["sum_received"]["bits_per_second"] / 1e9
    finally:
        listening.kill()
        listening.wait()


def _enter(pid: int) -> list[str]:
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]


def _is_running(context: Context, uuid: str) -> bool:
    return bool(context.client.get(f"{context.client.target.container}/containers/{uuid}")["status"] == "Running")
