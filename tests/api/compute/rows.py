"""Servers written straight into the tables, for tests of what becomes of them."""

from __future__ import annotations

import itertools
from typing import Any

from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.tables import instance_actions, instance_events, servers
from stackyard.services.identity import api as identity_api
from stackyard.services.network import api as network_api

_sequence = itertools.count(1)
FLAVOR = {
    "flavorid": "1", "name": "m1.tiny", "vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0,
    "rxtx_factor": 1.0, "extra_specs": {},
}  # fmt: skip


def caller(cloud: TestCloud, user: str = "demo") -> Caller:
    """Who a seeded user is, signed in."""
    return cloud.database.read("who", identity_api.authenticate, cloud.token(user))


def image(cloud: TestCloud, data: bytes = b"disk" * 256) -> str:
    """A small public image; its id."""
    client = cloud.client("admin")
    body = {"name": "disk", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    made = client.post("/image/v2/images", json=body).json()
    headers = {"content-type": "application/octet-stream"}
    answer = client.put(f"/image/v2/images/{made['id']}/file", content=data, headers=headers)
    assert answer.status_code == 204, answer.text
    return str(made["id"])


def insert(cloud: TestCloud, image_id: str | None = None, *, mark: bool = True, **columns: Any) -> str:
    """A server of demo's with one port that waits to be built, with these columns changed; its id."""
    who = caller(cloud)
    image_id = image_id or image(cloud)
    server_id = ids.new_uuid()

    def write(tx: Transaction) -> None:
        interfaces = []
        if "interfaces" not in columns:
            network = network_api.oldest_network(tx, who)
            request = network_api.PortRequest(
                network_id=network.id, device_id=server_id, device_owner="compute:nova", name=""
            )
            port = network_api.create_port(tx, cloud.runtime, who, request)
            interfaces = [{"port": port.id, "network": network.id, "mac": port.mac_address, "tag": None, "made": True}]
        tx.execute(servers.insert(), _row(tx, who, server_id, image_id) | {"interfaces": interfaces} | columns)
        action = {
            "id": ids.new_uuid(), "server_id": server_id, "request_id": "req-test", "action": "create",
            "user_id": who.user_id, "project_id": who.project_id, "started_at": tx.now, "updated_at": tx.now,
        }  # fmt: skip
        tx.execute(instance_actions.insert(), action)
        if mark:
            tasks.mark(tx, server_id, "testhost")

    cloud.database.write("insert", write)
    return server_id


def _row(tx: Transaction, who: Caller, server_id: str, image_id: str) -> dict[str, Any]:
    return {
        "id": server_id, "sequence": next(_sequence), "project_id": who.project_id, "user_id": who.user_id,
        "name": "one", "hostname": "one", "kind": "machine", "image_id": image_id,
        "image": {"disk_format": "raw", "container_format": "bare", "size": 1024, "properties": {}},
        "flavor": FLAVOR, "flavor_id": "1", "config_drive": False, "metadata": {}, "system_metadata": {},
        "personality": [], "hints": {}, "disk_config": "AUTO", "reservation_id": "r-test", "launch_index": 0,
        "root_device_name": "/dev/vda", "host": "testhost", "zone": "nova", "vm_state": "building",
        "task_state": "scheduling", "power_state": 0, "power": "running", "progress": 0, "task": {"name": "build"},
        "task_request_id": "req-test", "locked": False, "version": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip


def row(cloud: TestCloud, server_id: str) -> Any:
    """A server's row as it is now."""
    return cloud.database.read("row", lambda tx: tx.first(servers.select().where(servers.c.id == server_id)))


def change(cloud: TestCloud, server_id: str, *, mark: bool = True, **columns: Any) -> None:
    """Ask for something else, as a request does."""

    def write(tx: Transaction) -> None:
        tasks.update(tx, server_id, **columns)
        if mark:
            tasks.mark(tx, server_id, "testhost")

    cloud.database.write("change", write)


def events(cloud: TestCloud, server_id: str) -> list[Any]:
    """The steps of all of a server's actions."""

    def read(tx: Transaction) -> Any:
        mine = instance_actions.c.server_id == server_id
        joined = instance_events.join(instance_actions, instance_actions.c.id == instance_events.c.action_id)
        return tx.all(instance_events.select().select_from(joined).where(mine))

    return list(cloud.database.read("events", read))
