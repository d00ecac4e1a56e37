"""Floating IP pools: the IPv4 subnets of external networks that floating IPs come from."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.network import resources, seen
from stackyard.services.network.tables import networks, subnets

_SHOWN = (
    sa.select(subnets)
    .join(networks, networks.c.id == subnets.c.network_id)
    .where(networks.c.external, subnets.c.ip_version == 4)
)
LISTING = Listing(
    subnets,
    {
        "subnet_id": Filter(subnets.c.id),
        "subnet_name": Filter(subnets.c.name),
        "network_id": Filter(subnets.c.network_id),
        "cidr": Filter(subnets.c.cidr),
        "project_id": Filter(subnets.c.project_id),
    },
    max_limit=resources.LARGEST_PAGE,
    select=_SHOWN,
)


def view(row: Any) -> dict[str, Any]:
    """A pool as the API shows it."""
    return {
        "subnet_id": row.id,
        "subnet_name": row.name,
        "network_id": row.network_id,
        "cidr": row.cidr,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /floatingip_pools."""
    scope: Scope = EVERYTHING if call.caller.is_admin else seen.scope(call.caller, "subnet")
    return resources.listed(call, "floatingip_pools", resources.page_of(tx, call.query, LISTING, scope), view)
