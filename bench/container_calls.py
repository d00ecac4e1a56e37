"""Calls to our container service that several rows need: a network to be on, a create body, removal to the end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from bench.client import Client, RequestError, wait_for
from bench.engine import COMMAND, IMAGE

_NETWORK = "bench-containers"


def own_network(client: Client) -> str:
    """The id of a network with room for all; made once, and quotas that fifty containers would meet are lifted."""
    base = client.target
    named = client.get(f"{base.network}/networks?name={_NETWORK}")["networks"]
    if named:
        return str(named[0]["id"])
    client.headers["X-Subject-Token"] = client.token
    project = client.get(f"{base.identity}/auth/tokens")["token"]["project"]["id"]
    limits = {"containers": -1, "cpu": -1, "memory": -1, "disk": -1}
    with contextlib.suppress(RequestError):
        client.request("PUT", f"{base.container}/quotas/{project}", limits)
    with contextlib.suppress(RequestError):
        client.request("PUT", f"{base.network}/quotas/{project}", {"quota": {"port": -1}})
    made = client.post(f"{base.network}/networks", {"network": {"name": _NETWORK}})["network"]["id"]
    client.post(f"{base.network}/subnets", {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.78.0.0/22"}})
    return str(made)


def container_body(network: str, name: str) -> dict[str, Any]:
    """A container that only sleeps, of the image that the reference uses too."""
    return {
        "name": name,
        "image": IMAGE,
        "image_driver": "docker",
        "image_pull_policy": "ifnotpresent",
        "command": list(COMMAND),
        "nets": [{"network": network}],
    }


def remove(client: Client, ids: Sequence[str]) -> None:
    """Deletes by force and waits until all are gone, so that nothing of it runs into the next figure."""
    for container in ids:
        client.delete(f"{client.target.container}/containers/{container}?force=true")

    def gone() -> bool:
        listed = client.get(f"{client.target.container}/containers")["containers"]
        return not {entry["uuid"] for entry in listed} & set(ids)

    wait_for(gone, seconds=180, what="the containers to be deleted", interval=0.05)
