"""Rows of single creates in the network service: the answer's latency, our service and Neutron in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.client import Client
from bench.context import Context
from bench.rows import Goal, Row

GOAL = Goal("ours", "<", 5)
NETWORK = "network create"
PORT = "port create"

Create = Callable[[Client], tuple[str, dict[str, Any]]]


def network(context: Context) -> Iterator[Row]:
    """POST /networks, each deleted again before the next."""

    def body(_client: Client) -> tuple[str, dict[str, Any]]:
        return "networks", {"network": {"name": "bench-create"}}

    yield _row(context, NETWORK, body)


def port(context: Context) -> Iterator[Row]:
    """POST /ports on a network with an IPv4 subnet."""
    networks = {id(client): _subnet(client) for client in (context.client, context.peer_client)}

    def body(client: Client) -> tuple[str, dict[str, Any]]:
        return "ports", {"port": {"network_id": networks[id(client)]}}

    try:
        yield _row(context, PORT, body)
    finally:
        for client in (context.client, context.peer_client):
            client.delete(f"{client.target.network}/networks/{networks[id(client)]}")


def _subnet(client: Client) -> str:
    """A network of its own with a subnet that has room; returns the network's id."""
    base = client.target.network
    made = client.post(f"{base}/networks", {"network": {"name": "bench-ports"}})["network"]["id"]
    client.post(f"{base}/subnets", {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.77.0.0/16"}})
    return str(made)


def _row(context: Context, name: str, body: Create) -> Row:
    sides = (context.client, context.peer_client)
    rounds = 5 if context.quick else 30
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 2):
        for client, taken in zip(sides, seconds, strict=True):
            elapsed = _create_once(client, body)
            if number >= 2:  # the first ones only warm connections and caches
                taken.append(elapsed)
    ours, reference = (statistics.median(taken) * 1000 for taken in seconds)
    return Row(name, "ms", GOAL, ours, reference)


def _create_once(client: Client, body: Create) -> float:
    collection, content = body(client)
    url = f"{client.target.network}/{collection}"
    started = time.perf_counter()
    made = client.post(url, content)
    elapsed = time.perf_counter() - started
    client.delete(f"{url}/{made[collection[:-1]]['id']}")
    return elapsed
