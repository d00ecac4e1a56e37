"""`kill -9` of the cloud among 200 port creations and changes of a router: the kernel then has what the database says.

The moments are random, as in test_kill.py.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.chaos.interruption import difference, interrupted
from tests.chaos.test_kill import ROUNDS, SEED
from tests.chaos.world import Client, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]

COUNT = 200
CREATING_SECONDS = 2.0  # about what 200 ports and 50 changes take
V2 = "/network/v2.0"


class Site:
    """A network with a router that leads out, a floating IP that moves, and a subnet that comes and goes."""

    def __init__(self, client: Client) -> None:
        self.network = made(client, "network", name="chaos")
        self.subnet = made(client, "subnet", network_id=self.network, ip_version=4, cidr="10.98.0.0/16")
        external = client.request("GET", f"{V2}/networks?router:external=true")["networks"][0]["id"]
        self.router = made(client, "router", name="chaos", external_gateway_info={"network_id": external})
        client.request("PUT", f"{V2}/routers/{self.router}/add_router_interface", {"subnet_id": self.subnet})
        self.targets = [made(client, "port", network_id=self.network, name=f"target-{number}") for number in range(2)]
        self.floating = made(client, "floatingip", floating_network_id=external)
        second = made(client, "network", name="chaos-2")
        self.second = made(client, "subnet", network_id=second, ip_version=4, cidr="10.99.0.0/24")

    def act(self, client: Client, number: int) -> str | None:
        """One of many changes: mostly a new port, each fourth time something of the router."""
        if number % 4:
            return made(client, "port", network_id=self.network, name=f"chaos-{number}", dns_name=f"chaos-{number}")
        self.change_router(client, number // 4)
        return None

    def change_router(self, client: Client, turn: int) -> None:
        """Another turn of the router: the floating IP, the routes, or the second subnet."""
        on = turn % 2 == 0
        if turn % 3 == 0:
            body: dict[str, Any] = {"floatingip": {"port_id": self.targets[turn % 2] if on else None}}
            client.request("PUT", f"{V2}/floatingips/{self.floating}", body)
        elif turn % 3 == 1:
            routes = [{"destination": f"192.0.{turn}.0/24", "nexthop": "10.98.0.77"}] if on else []
            client.request("PUT", f"{V2}/routers/{self.router}", {"router": {"routes": routes}})
        else:
            verb = "add" if on else "remove"
            # Two turns may meet: what is there already, or gone already, is refused.
            path = f"{V2}/routers/{self.router}/{verb}_router_interface"
            client.request("PUT", path, {"subnet_id": self.second}, accept=(400, 404, 409))


def made(client: Client, noun: str, **fields: Any) -> str:
    return str(client.request("POST", f"{V2}/{noun}s", {noun: fields})[noun]["id"])


@pytest.fixture(scope="module")
def site(world: World) -> Site:
    client = world.client()
    made_site = Site(client)
    client.close()
    return made_site


@pytest.mark.parametrize("number", range((ROUNDS + 1) // 2))
def test_the_kernel_is_what_the_database_says(world: World, site: Site, number: int) -> None:
    moment = random.Random(f"{SEED}/network/{number}").uniform(0, CREATING_SECONDS)
    print(f"seed {SEED}, round {number}: killed {moment:.3f} s into creating")
    before = rows(world)
    accepted = interrupted(world, moment, site.act, COUNT)
    client = world.client()
    ports = {port["id"]: port for port in client.request("GET", f"{V2}/ports?network_id={site.network}")["ports"]}
    assert accepted <= ports.keys(), f"accepted and lost: {sorted(accepted - ports.keys())}"
    addresses = [entry["ip_address"] for port in ports.values() for entry in port["fixed_ips"]]
    assert len(addresses) == len(set(addresses)), "an address was given twice"
    eventually(world.doctor, seconds=60, what="kernel and database to be of one mind")

    for port in ports.values():
        if port["name"].startswith("chaos-"):
            client.request("DELETE", f"{V2}/ports/{port['id']}")
    client.request("PUT", f"{V2}/routers/{site.router}", {"router": {"routes": []}})
    client.request("PUT", f"{V2}/floatingips/{site.floating}", {"floatingip": {"port_id": None}})
    path = f"{V2}/routers/{site.router}/remove_router_interface"
    client.request("PUT", path, {"subnet_id": site.second}, accept=(404,))
    client.close()
    eventually(lambda: difference(before, rows(world)), seconds=30, what="no row to be left")
    eventually(world.doctor, seconds=60, what="kernel and database to be of one mind again")


def rows(world: World) -> dict[str, list[str]]:
    """What ports and routers leave in the database when they are not removed wholly."""
    return {
        "quota": world.rows("SELECT project_id, resource, in_use FROM quota_usages WHERE in_use != 0"),
        "addresses": world.rows("SELECT subnet_id, ip_address FROM ip_allocations"),
        "ports": world.rows("SELECT id FROM ports"),
        "work tried in vain": world.rows("SELECT kind, resource_id FROM work WHERE attempts > 1"),
    }
