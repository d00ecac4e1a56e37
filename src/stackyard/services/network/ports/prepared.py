"""Ports of machines that are about to move: wired on the next host before the machine comes there."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.services.network import marks
from stackyard.services.network.ports import rows
from stackyard.services.network.tables import port_bindings

_PREPARED = sa.select(port_bindings.c.host).where(
    port_bindings.c.port_id == bindparam("key"), port_bindings.c.host == bindparam("on")
)
_PREPARE = sa.insert(port_bindings)
_DROP = sa.delete(port_bindings).where(
    port_bindings.c.port_id == bindparam("key"), port_bindings.c.host == bindparam("on")
)


def prepare_binding(tx: Transaction, port_id: str, host: str) -> None:
    """Have a bound port (a tap) be wired on `host` too, since its machine is about to come there; `bind_port` follows.

    To be called there, with `wire_now` after it.
    """
    row = rows.read(tx, port_id)
    if row is None or row.binding_host == host or tx.first(_PREPARED, {"key": port_id, "on": host}) is not None:
        return
    values = {"port_id": port_id, "host": host, "vnic_type": row.binding_vnic_type, "profile": {}}
    tx.execute(_PREPARE, values | {"vif_type": "bridge", "created_at": tx.now})
    timeline.record(tx, marks.PORT, port_id, "binding prepared", f"on {host}")
    marks.network(tx, row.network_id, but=host)


def drop_binding(tx: Transaction, port_id: str, host: str) -> None:
    """The machine does not come to `host`: what is wired there is taken away. Gone or never prepared is fine."""
    row = rows.read(tx, port_id)
    if row is None or not forget_binding(tx, port_id, host) or row.binding_host == host:
        return
    timeline.record(tx, marks.PORT, port_id, "binding dropped", f"on {host}")
    marks.port_left(tx, port_id, host)
    marks.bound(tx, row.network_id, (), host="", left=host)
    marks.security_groups(tx, row.security_group_ids)


def forget_binding(tx: Transaction, port_id: str, host: str) -> bool:
    """Delete the binding that was prepared; whether there was one."""
    return tx.execute(_DROP, {"key": port_id, "on": host}).rowcount > 0
