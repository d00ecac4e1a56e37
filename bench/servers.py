"""Rows of servers: lists and creation, ours with the in-memory driver, Nova with its fake driver, in turns."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.client import Client, wait_for
from bench.context import Context
from bench.load import requests_per_second
from bench.memory_cloud import MemoryCloud
from bench.rows import Goal, Row

READ_GOAL = Goal("ratio", ">=", 20)
ONE = "server to ACTIVE, driver in memory"
MANY = "20 servers in one request, to ACTIVE"
ONE_GOAL, MANY_GOAL = Goal("ours", "<", 30), Goal("ours", "<", 300)
READS = {"server list of 20": "/servers", "server detail of 20": "/servers/detail", "flavor list": "/flavors"}
CLIENTS = (1, 8)
LISTED, COUNT = "bench-listed", 20


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two clouds, and what servers are made of on it."""

    client: Client
    image: str
    flavor: str
    network: str

    def body(self, name: str, count: int = 1) -> dict[str, Any]:
        """A server with one network."""
        server: dict[str, Any] = {
            "name": name,
            "imageRef": self.image,
            "flavorRef": self.flavor,
            "networks": [{"uuid": self.network}],
        }
        return {"server": server | {"min_count": count, "max_count": count}}

    @property
    def url(self) -> str:
        """Where servers are."""
        return f"{self.client.target.compute}/servers"


def names() -> list[str]:
    """The names of the rows that read."""
    return [f"{name}, {clients} client{'s' if clients > 1 else ''}" for name in READS for clients in CLIENTS]


def reads(context: Context) -> Iterator[Row]:
    """Twenty servers on both sides; requests a second of their lists."""
    with _sides(context) as sides:
        for side in sides:
            _have_twenty(side)
        runs, seconds = (1, 1) if context.quick else (3, 3)
        for name, path in READS.items():
            for clients in CLIENTS:
                rates: tuple[list[float], list[float]] = ([], [])
                for _ in range(runs):
                    for side, rate in zip(sides, rates, strict=True):
                        url = f"{side.client.target.compute}{path}"
                        found = requests_per_second(url, side.client.headers, clients=clients, seconds=seconds)
                        rate.append(found)
                label = f"{name}, {clients} client{'s' if clients > 1 else ''}"
                yield Row(label, "req/s", READ_GOAL, statistics.median(rates[0]), statistics.median(rates[1]))


def creates(context: Context) -> Iterator[Row]:
    """One server, and twenty by one request, from the request until all are ACTIVE."""
    with _sides(context) as sides:
        for name, goal, count, rounds in ((ONE, ONE_GOAL, 1, 12), (MANY, MANY_GOAL, COUNT, 4)):
            taken: tuple[list[float], list[float]] = ([], [])
            for number in range(2 if context.quick else rounds):
                for side, seconds in zip(sides, taken, strict=True):
                    elapsed = _to_active(side, count)
                    if number:  # the first only warms connections and caches
                        seconds.append(elapsed * 1000)
            note = "reference: Nova with its fake driver, a real Neutron, Glance and Placement"
            yield Row(name, "ms", goal, statistics.median(taken[0]), statistics.median(taken[1]), note)


@contextmanager
def _sides(context: Context) -> Iterator[tuple[Side, Side]]:
    peer = _side(context.peer_client)
    with tempfile.TemporaryDirectory(prefix="stackyard-bench-") as directory, MemoryCloud(Path(directory)) as cloud:
        client = Client(cloud.target())
        try:
            client.authenticate()
            yield _side(client), peer
        finally:
            client.close()


def _side(client: Client) -> Side:
    return made_of(client, "bench-servers", {"disk_format": "raw", "container_format": "bare"}, bytes(1 << 20))


def made_of(client: Client, name: str, formats: dict[str, str], data: bytes, flavor_name: str = "bench.tiny") -> Side:
    """A cloud with an image of these formats and data, made when it is not there, and the benchmark's network."""
    target = client.target
    network = _first(client, f"{target.network}/networks?name=bench-servers", "networks")
    if network is None:
        network = client.post(f"{target.network}/networks", {"network": {"name": "bench-servers"}})["network"]
        subnet: dict[str, Any] = {"network_id": network["id"], "ip_version": 4, "cidr": "10.78.0.0/16"}
        client.post(f"{target.network}/subnets", {"subnet": subnet})
    image = _first(client, f"{target.image}/images?name={name}", "images")
    if image is None:
        image = client.post(f"{target.image}/images", {"name": name, "visibility": "public", **formats})
        client.request("PUT", f"{target.image}/images/{image['id']}/file", data=data)
    flavor = _first(client, f"{target.compute}/flavors", "flavors", name=flavor_name)
    if flavor is None:
        tiny: dict[str, Any] = {"name": flavor_name, "ram": 64, "vcpus": 1, "disk": 1}
        flavor = client.post(f"{target.compute}/flavors", {"flavor": tiny})["flavor"]
    return Side(client, str(image["id"]), str(flavor["id"]), str(network["id"]))


def _first(client: Client, url: str, key: str, **wanted: str) -> dict[str, Any] | None:
    found = client.get(url)[key]
    fitting = (one for one in found if all(one.get(name) == value for name, value in wanted.items()))
    return next(fitting, None)


def _have_twenty(side: Side) -> None:
    """Exactly twenty servers: the peers keep those of an earlier run."""
    have = side.client.get(side.url)["servers"]
    listed = [server for server in have if server["name"].startswith(LISTED)]
    remove(side, [server["id"] for server in have if server not in listed] + [one["id"] for one in listed[COUNT:]])
    for _ in range(len(listed), COUNT):
        side.client.post(side.url, side.body(LISTED))

    def all_active() -> bool:
        servers = side.client.get(f"{side.url}/detail")["servers"]
        return len(servers) == COUNT and all(server["status"] == "ACTIVE" for server in servers)

    wait_for(all_active, seconds=120, what=f"{COUNT} servers to be ACTIVE", interval=0.2)


def _to_active(side: Side, count: int) -> float:
    started = time.perf_counter()
    made = side.client.post(side.url, side.body("bench-one", count))["server"]["id"]
    waiting = {made}

    def active() -> bool:
        if count > 1 and len(waiting) < count:
            found = side.client.get(f"{side.url}?name=bench-one")["servers"]
            waiting.update(server["id"] for server in found)
        if count == 1:
            return is_active(side.client.get(f"{side.url}/{made}")["server"])
        servers = side.client.get(f"{side.url}/detail?name=bench-one")["servers"]
        return len(servers) == count and all(is_active(server) for server in servers)

    wait_for(active, seconds=120, what=f"{count} servers to be ACTIVE", interval=0.001 if count == 1 else 0.005)
    elapsed = time.perf_counter() - started
    remove(side, sorted(waiting))
    return elapsed


def is_active(server: dict[str, Any]) -> bool:
    """Raises RuntimeError for one that is in error."""
    if server["status"] == "ERROR":
        raise RuntimeError(f"server {server['id']}: {server.get('fault')}")
    return bool(server["status"] == "ACTIVE")


def remove(side: Side, ids: list[str]) -> None:
    """Delete these servers, and wait until they are gone."""
    for server in ids:
        side.client.delete(f"{side.url}/{server}")
    gone = set(ids)

    def none_left() -> bool:
        return not gone & {server["id"] for server in side.client.get(side.url)["servers"]}

    wait_for(none_left, seconds=120, what="servers to be gone", interval=0.02)
