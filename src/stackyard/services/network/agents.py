"""Agents: each host as clients of Neutron look for it, with one agent of each type, and what DHCP and L3 agents serve.

They are views of the hosts' own rows: a host is one process, which does the work of all four.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.routes import Route
from stackyard.services import keys
from stackyard.services.network import hosts, marks, resources, seen
from stackyard.services.network.checks import ADMIN, rules
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.flavors.rows import PROVIDER, SERVICE_TYPE
from stackyard.services.network.networks import views as network_views
from stackyard.services.network.resources import Flag, Text, flag
from stackyard.services.network.routers import operations as router_operations
from stackyard.services.network.routers import rows as router_rows
from stackyard.services.network.routers import views as router_views
from stackyard.services.network.subnets import rows as subnet_rows
from stackyard.services.network.tables import agent_settings, networks, routers

_IDS = uuid.UUID("4c9bd1ab-6f3c-4d6e-9c34-6d8f0a3a2b11")
"""The name space of agents' ids, which are made of the host's name and the agent's type."""

DHCP, L3, L2, METADATA = "DHCP agent", "L3 agent", "Linux bridge agent", "Metadata agent"
_BINARIES = {
    DHCP: ("neutron-dhcp-agent", "dhcp_agent"),
    L3: ("neutron-l3-agent", "l3_agent"),
    L2: ("neutron-linuxbridge-agent", "N/A"),
    METADATA: ("neutron-metadata-agent", "N/A"),
}
"""Type -> binary and topic, by the names that clients know; all of them are this program."""

_SETTINGS = sa.select(agent_settings)
_FORGET_SETTINGS = sa.delete(agent_settings).where(agent_settings.c.id == bindparam("key"))
_INSERT_SETTINGS = sa.insert(agent_settings)
_SERVED = sa.select(networks).where(networks.c.dhcp_agent).order_by(networks.c.created_at, networks.c.id)
_ROUTERS = sa.select(routers).where(routers.c.host.in_(bindparam("at", expanding=True))).order_by(routers.c.created_at)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the agents show it."""

    name: str
    zone: str
    alive: bool
    joined_at: datetime
    started_at: datetime
    heartbeat_at: datetime
    tunnel_address: str | None
    physical_networks: Mapping[str, str]


class AgentFields(Body):
    """What administrators may say of an agent."""

    admin_state_up: Flag | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NetworkOfAgent(Body, kw_only=True):
    """The body that has a DHCP agent serve a network."""

    network_id: Text


class RouterOfAgent(Body, kw_only=True):
    """The body that has an L3 agent serve a router."""

    router_id: Text


def known_hosts(tx: Transaction, call: Call) -> list[Host]:
    """Every host, the one that has been there longest first; this one even before it has written its row."""
    found = [
        Host(
            name=row.name,
            zone=row.zone,
            alive=hosts.is_alive(row, tx.now),
            joined_at=row.joined_at,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at,
            tunnel_address=row.tunnel_address,
            physical_networks=row.physical_networks,
        )
        for row in hosts.rows(tx)
    ]
    if found:
        return found
    settings = call.runtime.settings.network
    here = Host(
        name=call.runtime[keys.HOST_NAME], zone=settings.availability_zone, alive=True, joined_at=tx.now,
        started_at=tx.now, heartbeat_at=tx.now, tunnel_address=settings.tunnel_address or None,
        physical_networks=hosts.physical_networks(settings),
    )  # fmt: skip
    return [here]


def _id(host: str, kind: str) -> str:
    return str(uuid.uuid5(_IDS, f"{host}/{kind}"))


def _agents(tx: Transaction, call: Call) -> list[dict[str, Any]]:
    said = {row.id: row for row in tx.all(_SETTINGS)}
    return [_view(host, kind, said.get(_id(host.name, kind))) for host in known_hosts(tx, call) for kind in _BINARIES]


def _view(host: Host, kind: str, said: Any) -> dict[str, Any]:
    binary, topic = _BINARIES[kind]
    joined, started, beaten = (
        moment.strftime("%Y-%m-%d %H:%M:%S") for moment in (host.joined_at, host.started_at, host.heartbeat_at)
    )
    return {
        "id": _id(host.name, kind),
        "agent_type": kind,
        "binary": binary,
        "topic": topic,
        "host": host.name,
        "admin_state_up": said is None or said.admin_state_up,
        "alive": host.alive,
        "availability_zone": host.zone if kind in (DHCP, L3) else None,
        "created_at": joined,
        "started_at": started,
        "heartbeat_timestamp": beaten,
        "description": None if said is None else said.description,
        "configurations": _configuration(host, kind),
        "resources_synced": None,
    }


def _configuration(host: Host, kind: str) -> dict[str, Any]:
    if kind == L3:
        return {"agent_mode": "legacy", "handle_internal_only_routers": True}
    if kind == L2:
        return {
            "bridge_mappings": {},
            "interface_mappings": dict(host.physical_networks),
            "tunneling_ip": host.tunnel_address,
            "tunnel_types": ["vxlan"] if host.tunnel_address else [],
        }
    return {"dhcp_driver": "dnsmasq"} if kind == DHCP else {}


def _find(tx: Transaction, call: Call, agent_id: str, kind: str = "") -> dict[str, Any]:
    """An agent, of a type when that is said; raises AgentNotFound, InvalidDHCPAgent, InvalidL3Agent."""
    for agent in _agents(tx, call):
        if agent["id"] == agent_id:
            if kind and agent["agent_type"] != kind:
                word = kind.partition(" ")[0]
                message = f"Agent {agent_id} is not a valid {kind} or has been disabled."
                raise NotFound(message, kind=f"Invalid{word}Agent")
            return agent
    raise not_found("Agent", agent_id)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents, to those who may see them."""
    found = _agents(tx, call) if call.allows("get_agent") else []
    for name in ("id", "agent_type", "binary", "topic", "host", "availability_zone", "description"):
        wanted = {value.lower() for value in call.query.all(name)}
        if wanted:
            found = [agent for agent in found if str(agent[name] or "").lower() in wanted]
    for name in ("admin_state_up", "alive"):
        flags = {parse_boolean(name, value) for value in call.query.all(name)}
        if flags:
            found = [agent for agent in found if agent[name] in flags]
    for name in reversed(call.query.all("sort_key")):
        backwards = "desc" in call.query.all("sort_dir")[:1]
        found.sort(key=lambda agent: str(agent.get(name, "")), reverse=backwards)
    return {"agents": [resources.shown(call, agent) for agent in found]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents/{agent_id}; raises AgentNotFound."""
    return {"agent": resources.shown(call, _find(tx, call, call.path["agent_id"]))}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /agents/{agent_id}. What is said of an agent is kept for schedulers; its host goes on serving what it has."""
    agent, body = _find(tx, call, call.path["agent_id"]), call.body
    up = flag("admin_state_up", body.admin_state_up, default=agent["admin_state_up"])
    description = agent["description"] if body.description is UNSET else body.description
    tx.execute(_FORGET_SETTINGS, {"key": agent["id"]})
    tx.execute(_INSERT_SETTINGS, {"id": agent["id"], "admin_state_up": up, "description": description})
    timeline.record(tx, "agent", agent["id"], "changed")
    return {"agent": _find(tx, call, agent["id"])}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /agents/{agent_id}: what was said of it is dropped, and a host that is gone is forgotten.

    The agents of a host that is alive are there again at once, as Neutron's are at their next report.
    """
    agent = _find(tx, call, call.path["agent_id"])
    tx.execute(_FORGET_SETTINGS, {"key": agent["id"]})
    timeline.record(tx, "agent", agent["id"], "deleted")
    if not agent["alive"]:
        hosts.forget(tx, agent["host"])


def list_zones(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /availability_zones: those of the hosts, for networks and for routers."""
    zones = sorted({host.zone for host in known_hosts(tx, call)})
    found = [
        {"name": zone, "resource": resource, "state": "available"}
        for zone in zones
        for resource in ("network", "router")
    ]
    for name in ("name", "resource", "state"):
        wanted = set(call.query.all(name))
        if wanted:
            found = [item for item in found if item[name] in wanted]
    return {"availability_zones": [resources.shown(call, item) for item in found]}


def list_providers(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /service-providers."""
    del tx
    item = {"service_type": SERVICE_TYPE, "name": PROVIDER, "default": True}
    kept = all(
        not call.query.all(name) or str(value).lower() in {text.lower() for text in call.query.all(name)}
        for name, value in item.items()
    )
    return {"service_providers": [resources.shown(call, item)] if kept else []}


def agents_of_network(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /networks/{network_id}/dhcp-agents."""
    network = seen.any_network(tx, call.path["network_id"])
    found = [agent for agent in _agents(tx, call) if agent["agent_type"] == DHCP] if network.dhcp_agent else []
    return {"agents": [resources.shown(call, agent) for agent in found]}


def networks_of_agent(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents/{agent_id}/dhcp-networks."""
    _find(tx, call, call.path["agent_id"], DHCP)
    rows = tx.all(_SERVED)
    known = network_views.facts(tx, call, rows)
    return {"networks": [resources.shown(call, network_views.view(row, known)) for row in rows]}


def add_network(tx: Transaction, call: Call) -> Reply:
    """POST /agents/{agent_id}/dhcp-networks; raises NetworkHostedByDHCPAgent."""
    agent = _find(tx, call, call.path["agent_id"], DHCP)
    network = seen.any_network(tx, call.body.network_id)
    if network.dhcp_agent:
        raise conflict(
            "NetworkHostedByDHCPAgent",
            f"The network {network.id} has been already hosted by the DHCP Agent {agent['id']}.",
        )
    _serve(tx, call, network.id, on=True)
    return Reply(None, status=201)


def remove_network(tx: Transaction, call: Call) -> None:
    """DELETE /agents/{agent_id}/dhcp-networks/{network_id}: no DHCP on it any more; NetworkNotHostedByDhcpAgent."""
    agent = _find(tx, call, call.path["agent_id"], DHCP)
    network = seen.any_network(tx, call.path["network_id"])
    if not network.dhcp_agent:
        raise conflict(
            "NetworkNotHostedByDhcpAgent",
            f"The network {network.id} is not hosted by the DHCP Agent {agent['id']}.",
        )
    _serve(tx, call, network.id, on=False)


def _serve(tx: Transaction, call: Call, network_id: str, *, on: bool) -> None:
    resources.touch(tx, networks, network_id, dhcp_agent=on)
    subnet_rows.refresh_service_port(tx, call.runtime, network_id)
    timeline.record(tx, marks.NETWORK, network_id, "DHCP agent added" if on else "DHCP agent removed")
    marks.network(tx, network_id)


def _host_of(tx: Transaction, call: Call, row: Any) -> str:
    """The host that a router is on: the one in its row, else the one that has been there longest."""
    names = [host.name for host in known_hosts(tx, call)]
    return str(row.host) if row.host in names else names[0]


def agents_of_router(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers/{router_id}/l3-agents."""
    host = _host_of(tx, call, call.target)
    found = [agent for agent in _agents(tx, call) if agent["agent_type"] == L3 and agent["host"] == host]
    return {"agents": [resources.shown(call, agent | {"ha_state": None}) for agent in found]}


def routers_of_agent(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /agents/{agent_id}/l3-routers."""
    agent = _find(tx, call, call.path["agent_id"], L3)
    first = known_hosts(tx, call)[0].name
    rows: Sequence[Any] = tx.all(_ROUTERS, {"at": [agent["host"], *([""] if agent["host"] == first else [])]})
    return {"routers": [resources.shown(call, router_views.shown_to(call, row)) for row in rows]}


def add_router(tx: Transaction, call: Call) -> Reply:
    """POST /agents/{agent_id}/l3-routers: the router moves to the agent's host; raises RouterHostedByL3Agent."""
    agent = _find(tx, call, call.path["agent_id"], L3)
    row = _router(tx, call.body.router_id)
    if _host_of(tx, call, row) == agent["host"]:
        raise conflict(
            "RouterHostedByL3Agent", f"The router {row.id} has been already hosted by the L3 Agent {agent['id']}."
        )
    _move(tx, row, agent["host"])
    return Reply(None, status=201)


def remove_router(tx: Transaction, call: Call) -> None:
    """DELETE /agents/{agent_id}/l3-routers/{router_id}: another host takes it; RouterReschedulingFailed without one."""
    agent = _find(tx, call, call.path["agent_id"], L3)
    row = _router(tx, call.path["router_id"])
    if _host_of(tx, call, row) != agent["host"]:
        raise conflict("RouterNotHostedByL3Agent", f"The router {row.id} is not hosted by the L3 Agent {agent['id']}.")
    others = [other["host"] for other in _agents(tx, call) if other["agent_type"] == L3 and other["admin_state_up"]
              and other["alive"] and other["host"] != agent["host"]]  # fmt: skip
    if not others:
        raise conflict("RouterReschedulingFailed", f"Failed rescheduling router {row.id}: no eligible l3 agent found.")
    _move(tx, row, others[0])


def _router(tx: Transaction, router_id: str) -> Any:
    row = router_rows.read(tx, router_id)
    if row is None:
        raise not_found("Router", router_id)
    return row


def _move(tx: Transaction, row: Any, host: str) -> None:
    resources.touch(tx, routers, row.id, host=host)
    timeline.record(tx, marks.ROUTER, row.id, "moved", f"from {row.host or 'its first host'} to {host}")
    if row.host:
        reconcile.mark(tx, marks.kind_here(marks.ROUTER, row.host), row.id)
    marks.router(tx, row.id)


_AGENT = "/v2.0/agents/{agent_id}"
_NETWORKS_OF = f"{_AGENT}/dhcp-networks"
_ROUTERS_OF = f"{_AGENT}/l3-routers"

ROUTES = (
    Route("GET", "/v2.0/agents", list_, "get_network_api"),
    Route("GET", _AGENT, show, "get_agent"),
    Route("PUT", _AGENT, update, "update_agent", body=AgentFields, envelope="agent"),
    Route("DELETE", _AGENT, delete, "delete_agent", status=204),
    Route("GET", "/v2.0/networks/{network_id}/dhcp-agents", agents_of_network, "get_dhcp-agents"),
    Route("GET", _NETWORKS_OF, networks_of_agent, "get_dhcp-networks"),
    Route("POST", _NETWORKS_OF, add_network, "create_dhcp-network", body=NetworkOfAgent, status=201),
    Route("DELETE", f"{_NETWORKS_OF}/{{network_id}}", remove_network, "delete_dhcp-network", status=204),
    Route("GET", "/v2.0/routers/{router_id}/l3-agents", agents_of_router, "get_l3-agents",
          target=router_operations.load),
    Route("GET", _ROUTERS_OF, routers_of_agent, "get_l3-routers"),
    Route("POST", _ROUTERS_OF, add_router, "create_l3-router", body=RouterOfAgent, status=201),
    Route("DELETE", f"{_ROUTERS_OF}/{{router_id}}", remove_router, "delete_l3-router", status=204),
    Route("GET", "/v2.0/availability_zones", list_zones, "get_availability_zone"),
    Route("GET", "/v2.0/service-providers", list_providers, "get_service_provider"),
)  # fmt: skip

POLICIES = (
    *rules(ADMIN, "get_agent", "update_agent", "delete_agent", about="See, change and delete agents."),
    *rules(
        ADMIN, "get_dhcp-agents", "get_dhcp-networks", "create_dhcp-network", "delete_dhcp-network",
        about="Which DHCP agents serve which networks.",
    ),
    *rules(
        ADMIN, "get_l3-agents", "get_l3-routers", "create_l3-router", "delete_l3-router",
        about="Which L3 agents serve which routers.",
    ),
    *rules("role:reader", "get_availability_zone", "get_service_provider", about="See zones and service providers."),
)  # fmt: skip
