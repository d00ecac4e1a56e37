"""Servers made through the API, as tests of what is done to them need them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.api.compute import rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.services.compute import hosts
from stackyard.services.compute.tables import compute_nodes, compute_services
from stackyard.services.compute.tables import migrations as moves
from stackyard.services.placement import api as placement

_number = itertools.count(1)


def server(cloud: TestCloud, nova: Nova, *, image: str | None = None, flavor: str = "1", **fields: Any) -> str:
    """A server that runs; its id."""
    body = {"name": f"one-{next(_number)}", "imageRef": image or rows.image(cloud), "flavorRef": flavor, **fields}
    version = "2.37" if "networks" in fields else "2.1"
    server_id: str = nova.post("/servers", {"server": body}, status=202, version=version)["server"]["id"]
    cloud.settle()
    assert rows.row(cloud, server_id).vm_state == "active", rows.row(cloud, server_id).fault
    return server_id


def act(nova: Nova, server_id: str, action: str, body: Any = None, *, status: int = 202, version: str = "2.1") -> Any:
    """Ask for an action."""
    return nova.post(f"/servers/{server_id}/action", {action: body}, status=status, version=version)


def states(cloud: TestCloud, server_id: str) -> tuple[str, str | None, str, int]:
    """vm_state, task_state, power, power_state as written."""
    row = rows.row(cloud, server_id)
    return row.vm_state, row.task_state, row.power, row.power_state


def status(nova: Nova, server_id: str) -> str:
    """What the API says."""
    return str(nova.get(f"/servers/{server_id}")["server"]["status"])


def image(cloud: TestCloud, image_id: str, user: str = "demo") -> dict[str, Any]:
    """An image as the image service shows it; empty when it has none."""
    answer = cloud.client(user).get(f"/image/v2/images/{image_id}")
    return dict(answer.json()) if answer.status_code == 200 else {}


def held(cloud: TestCloud, consumer: str) -> dict[str, int]:
    """What a server (or a move) holds in Placement, of all providers together."""
    found = cloud.database.read("held", placement.allocations_of, consumer)
    return {name: amount for of_one in found.values() for name, amount in of_one.items()}


def used(cloud: TestCloud, project_id: str) -> tuple[int, int, int]:
    """Servers, CPUs and MiB that a project's quota counts."""

    def read(tx: Transaction) -> tuple[int, int, int]:
        of = cloud.runtime.quotas.in_use
        return (
            of(tx, project_id, "compute.instances"), of(tx, project_id, "compute.cores"),
            of(tx, project_id, "compute.ram"),
        )  # fmt: skip

    return cloud.database.read("used", read)


def move(cloud: TestCloud, server_id: str) -> Any:
    """The last move of a server."""

    def read(tx: Transaction) -> Any:
        return tx.first(moves.select().where(moves.c.server_id == server_id).order_by(moves.c.id.desc()))

    return cloud.database.read("move", read)


def actions(nova: Nova, server_id: str) -> list[tuple[str, str | None]]:
    """The actions of a server with their messages, oldest first."""
    found = nova.get(f"/servers/{server_id}/os-instance-actions")["instanceActions"]
    return [(action["action"], action["message"]) for action in reversed(found)]


def other_host(cloud: TestCloud, name: str = "otherhost") -> None:
    """One more host with the same capacity, that is up and runs nothing."""

    def write(tx: Transaction) -> None:
        node = tx.first(compute_nodes.select().where(compute_nodes.c.host == "testhost"))
        service = tx.first(
            compute_services.select().where(
                compute_services.c.host == "testhost", compute_services.c.binary == hosts.COMPUTE
            )
        )
        assert node is not None
        assert service is not None
        new_id = f"{node.id[:-4]}beef"
        tx.execute(
            compute_nodes.insert(), dict(node._mapping) | {"id": new_id, "number": node.number + 1, "host": name}
        )
        values = dict(service._mapping) | {"host": name, "uuid": new_id}
        values.pop("id")
        tx.execute(compute_services.insert(), values)
        totals = {
            kind: placement.Inventory(total=usage.total, ratio=usage.ratio)
            for kind, usage in placement.usages(tx, [node.id])[node.id].items()
        }
        placement.ensure_provider(tx, uuid=new_id, name=name, inventories=totals)

    cloud.database.write("other host", write)


def put_down(cloud: TestCloud, name: str, *, down: bool = True) -> None:
    """Say that a host is down, as an administrator does."""

    def write(tx: Transaction) -> None:
        tx.execute(compute_services.update().where(compute_services.c.host == name).values(forced_down=down))

    cloud.database.write("put down", write)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)  # polls the condition above
