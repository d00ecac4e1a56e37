"""Reading local IPs, what becomes of them when their ports go, and what hosts make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.host.specs import Address, AddressPair, PortSpec
from stackyard.services.network import marks
from stackyard.services.network.faults import conflict
from stackyard.services.network.tables import local_ip_associations, local_ips

_ONE = sa.select(local_ips).where(local_ips.c.id == bindparam("id"))
_BY_LOCAL_PORT = sa.select(local_ips.c.id).where(local_ips.c.local_port_id == bindparam("port")).limit(1)
_BY_FIXED_PORT = sa.select(local_ip_associations).where(local_ip_associations.c.fixed_port_id == bindparam("port"))
_ADDRESSES = (
    sa.select(local_ips.c.local_ip_address)
    .join(local_ip_associations, local_ip_associations.c.local_ip_id == local_ips.c.id)
    .where(local_ip_associations.c.fixed_port_id == bindparam("port"))
    .order_by(local_ips.c.local_ip_address)
)
_DISSOCIATE = sa.delete(local_ip_associations).where(
    local_ip_associations.c.local_ip_id == bindparam("local_ip"),
    local_ip_associations.c.fixed_port_id == bindparam("port"),
)


def read(tx: Transaction, local_ip_id: str) -> Any:
    """A local IP's row; raises LocalIPNotFound."""
    row = tx.first(_ONE, {"id": local_ip_id})
    if row is None:
        raise missing(local_ip_id)
    return row


def missing(local_ip_id: str) -> NotFound:
    """No such local IP, or the caller may not know of it."""
    return NotFound(f"Local IP {local_ip_id} could not be found.", kind="LocalIPNotFound")


def dissociate(tx: Transaction, local_ip_id: str, port_id: str) -> None:
    """Take a local IP from a port."""
    tx.execute(_DISSOCIATE, {"local_ip": local_ip_id, "port": port_id})
    timeline.record(tx, "local_ip", local_ip_id, "dissociated", port_id)
    marks.port(tx, port_id)


def refuse_local_port(tx: Transaction, port_id: str) -> None:
    """Raise ServicePortInUse for a port that a local IP has its address from."""
    found = tx.scalar(_BY_LOCAL_PORT, {"port": port_id})
    if found is not None:
        raise conflict(
            "ServicePortInUse",
            f"Port {port_id} cannot be deleted directly via the port API: still referenced by Local IPs ({found}).",
        )


def drop_lost(tx: Transaction, port_id: str, kept: Sequence[str]) -> None:
    """Take the local IPs from a port whose addresses they lead to are gone."""
    for row in tx.all(_BY_FIXED_PORT, {"port": port_id}):
        if row.fixed_ip not in kept:
            dissociate(tx, row.local_ip_id, port_id)


def add_to(tx: Transaction, spec: PortSpec) -> PortSpec:
    """The port with its local IPs: inside they are addresses of it; a machine, which numbers itself, may use them."""
    found = [row.local_ip_address for row in tx.all(_ADDRESSES, {"port": spec.id})]
    if not found:
        return spec
    if spec.kind == "veth":
        more = tuple(Address(ip=text, prefix_length=32) for text in found)
        return msgspec.structs.replace(spec, addresses=(*spec.addresses, *more))
    pairs = tuple(AddressPair(ip=text) for text in found)
    return msgspec.structs.replace(spec, allowed_pairs=(*spec.allowed_pairs, *pairs))
