"""What the API tells of the cloud around networks: its host as an agent, zones, providers, addresses that are left."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services import keys
from stackyard.services.network import resources, seen
from stackyard.services.network.addresses import loaded_pools
from stackyard.services.network.allocation import size
from stackyard.services.network.faults import not_found
from stackyard.services.network.tables import ip_allocations, networks, subnets

_AGENT_IDS = uuid.UUID("4c9bd1ab-6f3c-4d6e-9c34-6d8f0a3a2b11")
"""The name space of agents' ids, which are made of the host's name."""

_STARTED = datetime.now(UTC)

_NETWORKS = sa.select(networks).order_by(networks.c.created_at)
_SUBNETS = sa.select(subnets).where(subnets.c.network_id == bindparam("network")).order_by(subnets.c.created_at)
_USED = sa.select(sa.func.count()).select_from(ip_allocations).where(ip_allocations.c.subnet_id == bindparam("subnet"))


def _agent(tx: Transaction, call: Call) -> dict[str, Any]:
    host = call.runtime[keys.HOST_NAME]
    now, started = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in (tx.now, _STARTED))
    return {
        "id": str(uuid.uuid5(_AGENT_IDS, host)),
        "agent_type": "Stackyard host",
        "binary": "stackyard",
        "topic": "N/A",
        "host": host,
        "admin_state_up": True,
        "alive": True,
        "availability_zone": None,
        "created_at": started,
        "started_at": started,
        "heartbeat_timestamp": now,
        "description": None,
        "configurations": {},
        "resources_synced": None,
    }


def list_agents(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents: this host, to those who may see it."""
    seen_by = [_agent(tx, call)] if call.allows("get_agent") else []
    return {"agents": [resources.shown(call, agent) for agent in seen_by]}


def show_agent(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents/{agent_id}; raises AgentNotFound."""
    agent = _agent(tx, call)
    if call.path["agent_id"] != agent["id"]:
        raise not_found("Agent", call.path["agent_id"])
    return {"agent": resources.shown(call, agent)}


def list_zones(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /availability_zones: there are none."""
    del tx, call
    return {"availability_zones": []}


def list_providers(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /service-providers."""
    del tx, call
    return {"service_providers": [{"service_type": "L3_ROUTER_NAT", "name": "stackyard", "default": True}]}


def _availability(tx: Transaction, row: Any) -> Mapping[str, Any]:
    each = [
        {
            "subnet_id": subnet.id,
            "subnet_name": subnet.name,
            "cidr": subnet.cidr,
            "ip_version": subnet.ip_version,
            "total_ips": size(loaded_pools(subnet.allocation_pools)),
            "used_ips": int(tx.scalar(_USED, {"subnet": subnet.id})),
        }
        for subnet in tx.all(_SUBNETS, {"network": row.id})
    ]
    return {
        "network_id": row.id,
        "network_name": row.name,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "total_ips": sum(item["total_ips"] for item in each),
        "used_ips": sum(item["used_ips"] for item in each),
        "subnet_ip_availability": each,
    }


def list_availabilities(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network-ip-availabilities, with filters by network, project and IP version."""
    if not call.allows("get_network_ip_availability"):
        return {"network_ip_availabilities": []}
    query = call.query
    wanted = {
        "id": set(query.all("network_id")),
        "name": set(query.all("network_name")),
        "project_id": {*query.all("project_id"), *query.all("tenant_id")},
    }
    rows = [
        row
        for row in tx.all(_NETWORKS)
        if all(not values or getattr(row, name) in values for name, values in wanted.items())
    ]
    found = [_availability(tx, row) for row in rows]
    version = query.get("ip_version")
    if version:
        found = [item for item in found if any(str(s["ip_version"]) == version for s in item["subnet_ip_availability"])]
    return {"network_ip_availabilities": [resources.shown(call, item) for item in found]}


def show_availability(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network-ip-availabilities/{network_id}."""
    row = seen.any_network(tx, call.path["network_id"])
    return {"network_ip_availability": resources.shown(call, _availability(tx, row))}
