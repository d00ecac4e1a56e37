"""Rows of read calls: requests a second, our service and the real one in turns, with one client and with eight."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator
from typing import Any

from bench import many_ports
from bench.client import Client
from bench.container_calls import container_body, own_network, remove
from bench.context import Context
from bench.load import requests_per_second
from bench.peers import seed
from bench.rows import Goal, Row

GOAL = Goal("ratio", ">=", 10)
CLIENTS = (1, 8)


@dataclasses.dataclass(frozen=True)
class Read:
    """One call: what it is named, whose URL it is, and the key of the list it answers with (None: no list)."""

    name: str
    service: str
    path: str
    key: str | None = None
    count: int | None = None

    def url(self, client: Client) -> str:
        """The call's whole URL on one side."""
        return str(getattr(client.target, self.service)) + self.path


TOKEN = Read("token validation", "identity", "/auth/tokens")
PROJECTS = Read("projects list", "identity", "/projects", "projects")
USERS = Read("user list of 20", "identity", "/users", "users", 20)
NETWORKS = Read("network list of 20", "network", "/networks", "networks", 20)
PORTS = Read("port list of 1000", "network", "/ports?name=bench-listed", "ports", 1000)
CONTAINERS = Read("container list of 20", "container", "/containers", "containers", 20)
IMAGES = Read("image list of 10", "image", "/images", "images", 10)
READS = (TOKEN, PROJECTS, USERS, PORTS, NETWORKS, CONTAINERS, IMAGES)


def names(read: Read) -> list[str]:
    """The names of the call's rows."""
    return [f"{read.name}, {clients} client{'s' if clients > 1 else ''}" for clients in CLIENTS]


def measure(context: Context, read: Read) -> Iterator[Row]:
    """Fills both sides to the same amount of data and gives a row for each number of clients."""
    if read is CONTAINERS:
        made = _fill_containers(context)
        try:
            yield from _rates(context, read)
        finally:
            remove(context.client, made)
        return
    for client in (context.client, context.peer_client):
        _fill(client, read)
    yield from _rates(context, read)


def _rates(context: Context, read: Read) -> Iterator[Row]:
    sides = (context.client, context.peer_client)
    for client in sides:
        _check(client, read)
    runs, seconds = (1, 1) if context.quick else (3, 3)
    for name, clients in zip(names(read), CLIENTS, strict=True):
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs):
            for client, rate in zip(sides, rates, strict=True):
                rate.append(requests_per_second(read.url(client), headers(client), clients=clients, seconds=seconds))
        yield Row(name, "req/s", GOAL, statistics.median(rates[0]), statistics.median(rates[1]))


def headers(client: Client) -> dict[str, str]:
    """The headers of a call as the side's administrator."""
    # X-Subject-Token is only of interest to the validation of a token, and elsewhere ignored.
    return {**client.headers, "X-Subject-Token": client.token}


def _check(client: Client, read: Read) -> None:
    """Both sides must answer with as much as the row's name says; otherwise the figures would not compare."""
    if read is TOKEN:
        return
    assert read.key is not None
    found = len(client.get(read.url(client))[read.key])
    if read.count is not None and found != read.count:
        raise RuntimeError(f"{read.url(client)} lists {found} {read.key}, not {read.count}")


def _fill(client: Client, read: Read) -> None:
    if read.key is None or read.count is None:
        return
    if read is PORTS:
        many_ports.fill(client, "bench-listed", read.count)
        return
    have = client.get(read.url(client))[read.key]
    if read is NETWORKS:
        have = _without_surplus(client, read.url(client), have, read.count)
    for number in range(len(have), read.count):
        if read is USERS:
            client.post(read.url(client), {"user": {"name": f"bench{number}"}})
        elif read is NETWORKS:
            client.post(read.url(client), {"network": {"name": f"bench{number}"}})
        else:
            client.post(read.url(client), {"name": f"bench{number}", "disk_format": "raw", "container_format": "bare"})


def _without_surplus(client: Client, url: str, have: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """At most `count` networks: the peers keep what an earlier run made."""
    ours = [entry for entry in have if entry["name"].startswith("bench")]
    for entry in ours[: max(0, len(have) - count)]:
        client.delete(f"{url}/{entry['id']}")
        have.remove(entry)
    return have


def _fill_containers(context: Context) -> list[str]:
    """Real containers on our side, rows on the other; returns the ids of ours."""
    assert CONTAINERS.count is not None
    client = context.client
    url = CONTAINERS.url(client)
    network = own_network(client)
    missing = range(len(client.get(url)["containers"]), CONTAINERS.count)
    made = [str(client.post(url, container_body(network, f"bench{number}"))["uuid"]) for number in missing]
    peer = context.peer_client
    token = _token_data(peer)
    seed.container_rows(context.peers, token["project"]["id"], token["user"]["id"], CONTAINERS.count)
    return made


def _token_data(client: Client) -> dict[str, dict[str, str]]:
    client.headers["X-Subject-Token"] = client.token
    data: dict[str, dict[str, str]] = client.get(f"{client.target.identity}/auth/tokens")["token"]
    return data
