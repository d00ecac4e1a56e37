"""Rows of container creation: ours from token to reachable, against `docker run -d` on the same engine."""

from __future__ import annotations

import concurrent.futures
import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench.client import Client, wait_for
from bench.container_calls import container_body, own_network, remove
from bench.context import Context
from bench.probe import Namespace, reach
from bench.rows import Goal, Row

GOAL = Goal("ratio", "<=", 1.0)
ONE = "container create to Running and reachable"
MANY = "50 containers at once"
COUNT = 50
WORKERS = 8


def one(context: Context) -> Iterator[Row]:
    """One after another, both sides in turns."""
    network = own_network(context.client)
    client, engine = context.client, context.engine
    probe_id = _create(client, network, "bench-probe")
    ours: list[float] = []
    reference: list[float] = []
    try:
        _wait_running(client, probe_id)
        namespace = Namespace(engine.process(f"zun-{probe_id}"))
        try:
            for number in range(4 if context.quick else 16):
                taken = _ours_once(context, network, namespace), _docker_once(context)
                if number:  # the first of each only warms caches
                    ours.append(taken[0])
                    reference.append(taken[1])
        finally:
            namespace.close()
    finally:
        remove(client, [probe_id])
    note = "ours: token, create, poll until Running, connect from another container; reference: docker run -d, connect"
    yield Row(ONE, "ms", GOAL, statistics.median(ours) * 1000, statistics.median(reference) * 1000, note)


def many(context: Context) -> Iterator[Row]:
    """Fifty requests by a few clients until all are Running; fifty `docker run -d` started in parallel."""
    network = own_network(context.client)
    ours: list[float] = []
    reference: list[float] = []
    for _round in range(1 if context.quick else 3):
        context.report(f"creating {COUNT} containers on each side")
        ours.append(_ours_many(context, network))
        started = time.perf_counter()
        ids = context.engine.run_all(COUNT)
        reference.append(time.perf_counter() - started)
        context.engine.docker("rm", "-f", *ids)
    yield Row(MANY, "s", GOAL, statistics.median(ours), statistics.median(reference))


def _create(client: Client, network: str, name: str) -> str:
    return str(client.post(f"{client.target.container}/containers?run=true", container_body(network, name))["uuid"])


def _wait_running(client: Client, container: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}

    def running() -> bool:
        shown.update(client.get(f"{client.target.container}/containers/{container}"))
        if shown["status"] == "Error":
            raise RuntimeError(f"container {container}: {shown.get('status_reason')}")
        return bool(shown["status"] == "Running")

    wait_for(running, seconds=60, what=f"container {container} to run", interval=0.002)
    return shown


def _ours_once(context: Context, network: str, namespace: Namespace) -> float:
    client = Client(context.client.target)
    try:
        started = time.perf_counter()
        client.authenticate()
        container = _create(client, network, "bench-one")
        shown = _wait_running(client, container)
        address = next(entry["addr"] for entry in next(iter(shown["addresses"].values())) if entry["version"] == 4)
        namespace.reach(address)
        elapsed = time.perf_counter() - started
        remove(client, [container])
    finally:
        client.close()
    return elapsed


def _docker_once(context: Context) -> float:
    started = time.perf_counter()
    container = context.engine.run_all(1)[0]
    elapsed = time.perf_counter() - started
    # Finding out the address is the benchmark's own need and not counted.
    elapsed += reach(context.engine.address(container))
    context.engine.docker("rm", "-f", container)
    return elapsed


def _ours_many(context: Context, network: str) -> float:
    client = Client(context.client.target)
    ids: list[str] = []
    try:
        started = time.perf_counter()
        client.authenticate()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            shares = [pool.submit(_create_some, client, network, share) for share in range(WORKERS)]
            for share in shares:
                ids += share.result()
        wait_for(lambda: _all_running(client, ids), seconds=180, what=f"{COUNT} containers to run", interval=0.02)
        elapsed = time.perf_counter() - started
    finally:
        remove(client, ids)
        client.close()
    return elapsed


def _create_some(parent: Client, network: str, share: int) -> list[str]:
    client = Client(parent.target, token=parent.token)
    try:
        return [_create(client, network, f"bench-many{number}") for number in range(share, COUNT, WORKERS)]
    finally:
        client.close()


def _all_running(client: Client, ids: list[str]) -> bool:
    listed = client.get(f"{client.target.container}/containers")["containers"]
    states = {entry["uuid"]: entry["status"] for entry in listed if entry["uuid"] in set(ids)}
    if "Error" in states.values():
        raise RuntimeError("a container went into Error: " + ", ".join(uuid for uuid in ids if states[uuid] == "Error"))
    return len(states) == len(ids) and set(states.values()) == {"Running"}
