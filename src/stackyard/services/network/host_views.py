"""What the API tells of the cloud around networks: its host as an agent, zones and providers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services import keys
from stackyard.services.network import resources
from stackyard.services.network.faults import not_found

_AGENT_IDS = uuid.UUID("4c9bd1ab-6f3c-4d6e-9c34-6d8f0a3a2b11")
"""The name space of agents' ids, which are made of the host's name."""

_STARTED = datetime.now(UTC)


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
