"""What is given back when a server ends: ports, quota, its group, what it has on its host, and its row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute import scheduler, server_groups
from stackyard.services.compute.servers import leftovers, limits, tasks
from stackyard.services.compute.servers.states import PowerState, VmState
from stackyard.services.compute.tables import block_devices
from stackyard.services.compute.volumes import ending
from stackyard.services.network import api as network_api

_DEVICES = sa.delete(block_devices).where(block_devices.c.server_id == bindparam("server"))


def forget(tx: Transaction, runtime: Runtime, server: Any) -> None:
    """The last act of a server: all that it holds of the cloud is free again, its row says that it is deleted.

    Ports that were made for it are deleted, others unbound and free for another server.
    """
    leftovers.clear(tx, runtime, server)
    release_ports(tx, runtime, server.interfaces)
    for row in network_api.ports_of_device(tx, server.id):
        _free(tx, row.id)
    limits.release(tx, runtime, server.project_id, server.flavor)
    server_groups.remove_member(tx, server.id)
    scheduler.release(tx, server.id)
    ending.release(tx, runtime, server.id)
    tx.execute(_DEVICES, {"server": server.id})
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


def release_ports(tx: Transaction, runtime: Runtime, interfaces: Any) -> None:
    """Give back ports of a server's `interfaces`: those that were made for it are deleted, others are free again."""
    for interface in interfaces:
        if interface["made"]:
            network_api.delete_port(tx, runtime, interface["port"])
        else:
            _free(tx, interface["port"], named=bool(interface.get("named")))


def _free(tx: Transaction, port_id: str, *, named: bool = False) -> None:
    """Have a port be nobody's; `named`: the name that it has is the server's."""
    network_api.unbind_port(tx, port_id)
    network_api.claim_ports(tx, [port_id], device_id="", device_owner="", dns_name="" if named else None)
