"""Names that a project's networks answer beside those of their ports: its floating IPs'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network import marks
from stackyard.services.network.tables import floating_ips, networks, ports

_NAMED = (
    sa.select(floating_ips.c.floating_ip_address, floating_ips.c.dns_name, floating_ips.c.dns_domain)
    .where(floating_ips.c.project_id == bindparam("project"), floating_ips.c.dns_name != "")
    .order_by(floating_ips.c.id)
)
_SERVED = (
    sa.select(networks.c.id)
    .where(networks.c.project_id == bindparam("project"))
    .where(sa.exists().where(ports.c.network_id == networks.c.id, ports.c.device_owner == "network:dhcp"))
)


def of_project(tx: Transaction, project_id: str) -> Sequence[Any]:
    """The floating IPs of a project that have names."""
    return tx.all(_NAMED, {"project": project_id})


def changed(tx: Transaction, floating: Mapping[str, Any]) -> None:
    """A floating IP has come or goes: if it has a name, its project's networks are to learn that."""
    if floating["dns_name"]:
        for row in tx.all(_SERVED, {"project": floating["project_id"]}):
            marks.network(tx, row.id, delay=marks.SOON)
