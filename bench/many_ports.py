"""Ports by the thousand: made in bulk on both sides, for the row of the bulk itself and for the list of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bench.client import Client
from bench.context import Context
from bench.rows import Goal, Row

BULK = "1000 ports in one bulk"
GOAL = Goal("ours", "<", 1.0)
COUNT = 1000
NETWORK = "listed-ports"
_CHUNK = 100


def bulk(context: Context) -> Iterator[Row]:
    """One POST of a thousand ports on a network with an IPv4 subnet; the reference is given them a hundred a POST.

    Of a thousand it ends the connection without an answer.
    """
    count = 100 if context.quick else COUNT
    taken: list[float] = []
    for client, chunk in ((context.client, count), (context.peer_client, _CHUNK)):
        _lift_quota(client)
        network = _network(client, "bench-bulk")
        started = time.perf_counter()
        for _ in range(0, count, chunk):
            _make(client, network, "bench-bulk", chunk)
        taken.append(time.perf_counter() - started)
        _remove(client, network, "bench-bulk")
    yield Row(BULK, "s", GOAL, *taken, note=f"one round; the reference in bulks of {_CHUNK}: it drops one of 1000")


def fill(client: Client, name: str, count: int) -> None:
    """Have `count` ports of this name, on a network of theirs; they stay."""
    base = client.target.network
    have = len(client.get(f"{base}/ports?name={name}&fields=id")["ports"])
    if have == count:
        return
    _lift_quota(client)
    found = client.get(f"{base}/networks?name={NETWORK}")["networks"]
    network = str(found[0]["id"]) if found else _network(client, NETWORK)
    for begin in range(have, count, _CHUNK):
        _make(client, network, name, min(_CHUNK, count - begin))


def _make(client: Client, network: str, name: str, count: int) -> None:
    body: dict[str, Any] = {"network_id": network, "name": name}
    client.post(f"{client.target.network}/ports", {"ports": [body] * count})


def _remove(client: Client, network: str, name: str) -> None:
    base = client.target.network
    for port in client.get(f"{base}/ports?name={name}&fields=id")["ports"]:
        client.delete(f"{base}/ports/{port['id']}")
    client.delete(f"{base}/networks/{network}")


def _network(client: Client, name: str) -> str:
    base = client.target.network
    made = client.post(f"{base}/networks", {"network": {"name": name}})["network"]["id"]
    client.post(f"{base}/subnets", {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.76.0.0/16"}})
    return str(made)


def _lift_quota(client: Client) -> None:
    project = client.get(f"{client.target.identity}/projects?name={client.target.project}")["projects"][0]["id"]
    quota = {"port": -1, "network": -1, "subnet": -1}
    client.request("PUT", f"{client.target.network}/quotas/{project}", {"quota": quota})
