"""`/v1/networks`: in Zun, the engine's own record of a network. Here containers are wired directly, so there is none.

Clients that tidy up by deleting the record of a network are told that there is none, as Zun would after it is gone.
"""

from __future__ import annotations

from typing import Any

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.services.containers.containers.bodies import Short
from stackyard.services.network import api as network_api


class NetworkBody(Body):
    """POST /v1/networks."""

    name: Short
    neutron_net_id: Short | None = None


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /v1/networks: nothing has to be made; the network is shown as the record would show it."""
    network = network_api.find_network(tx, call.caller, call.body.neutron_net_id or call.body.name)
    return {
        "uuid": network.id,
        "name": call.body.name,
        "neutron_net_id": network.id,
        "network_id": network.id,
        "project_id": call.caller.project_id,
        "user_id": call.caller.user_id,
    }


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /v1/networks/{id}."""
    del tx
    raise NotFound(f"Neutron network {call.path['network']} could not be found.", kind="NetworkNotFound")
