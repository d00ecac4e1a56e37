"""What is given back when a server ends: its ports, and its row."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.states import PowerState, VmState
from stackyard.services.network import api as network_api


def forget(tx: Transaction, runtime: Runtime, server: Any) -> None:
    """Delete the ports that were made for the server, free those that were given to it, and mark its row deleted."""
    for interface in server.interfaces:
        try:
            if interface["made"]:
                network_api.delete_port(tx, runtime, interface["port"])
            else:
                network_api.unbind_port(tx, interface["port"])
                network_api.claim_port(tx, interface["port"], device_id="", device_owner="")
        except NotFound:
            continue
    tasks.update(
        tx,
        server.id,
        vm_state=VmState.DELETED,
        task_state=None,
        task=None,
        power_state=int(PowerState.NOSTATE),
        terminated_at=tx.now,
        deleted_at=tx.now,
    )
