"""Fills the peers: service accounts, the catalog, and what can only be written into their databases."""

from __future__ import annotations

import uuid

from bench.client import Client
from bench.peers import database
from bench.peers.settings import PASSWORD, Settings

CATALOG = (
    ("image", "glance", ""),
    ("placement", "placement", ""),
    ("network", "neutron", ""),
    ("compute", "nova", "/v2.1"),
    ("container", "zun", "/v1"),
)


def seed_identity(settings: Settings) -> None:
    """The project, users, roles and catalog that the other services need before they start."""
    client = Client(settings.target())
    client.authenticate()
    identity = settings.target().identity
    roles = {role["name"]: role["id"] for role in client.get(f"{identity}/roles")["roles"]}
    if "service" not in roles:
        roles["service"] = client.post(f"{identity}/roles", {"role": {"name": "service"}})["role"]["id"]
    projects = {}
    for name in ("service", "demo"):
        body = {"project": {"name": name, "domain_id": "default"}}
        projects[name] = client.post(f"{identity}/projects", body)["project"]["id"]
    for kind, name, path in CATALOG:
        body = {"user": {"name": name, "password": PASSWORD, "domain_id": "default"}}
        user = client.post(f"{identity}/users", body)["user"]["id"]
        for role in ("admin", "service"):
            client.put(f"{identity}/projects/{projects['service']}/users/{user}/roles/{roles[role]}")
        service = client.post(f"{identity}/services", {"service": {"type": kind, "name": name}})["service"]["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {"service_id": service, "interface": interface, "url": settings.url(name) + path}
            client.post(f"{identity}/endpoints", {"endpoint": {**endpoint, "region": "RegionOne"}})
    client.close()


def seed_agent(settings: Settings) -> None:
    """The row of a network agent, so that Neutron's ml2 has a host where it could bind ports; none runs here."""
    configurations = '{"tunnel_types":["vxlan"],"tunneling_ip":"127.0.0.1","bridge_mappings":{}}'
    values = "'Open vSwitch agent','neutron-openvswitch-agent','N/A','peerhost',1"
    now = "UTC_TIMESTAMP(),UTC_TIMESTAMP(),UTC_TIMESTAMP() + INTERVAL 300 DAY"
    database.query(
        settings,
        "neutron",
        "INSERT INTO agents (id,agent_type,`binary`,topic,host,admin_state_up,created_at,started_at,"
        f"heartbeat_timestamp,configurations,`load`) SELECT '{uuid.uuid4()}',{values},{now},'{configurations}',0 "
        "FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM agents WHERE host='peerhost')",
    )


def container_rows(settings: Settings, project: str, user: str, count: int) -> None:
    """Zun's list of containers, brought to `count` rows in its database.

    Written as rows, because Zun's own create needs a container engine with Kuryr; reading them back is what is timed.
    """
    statements = []
    for number in range(count):
        values = f"'{uuid.uuid4()}','bench{number}','{project}','{user}','busybox','Running','peerhost'"
        statements.append(
            "INSERT INTO container (uuid,name,project_id,user_id,image,status,host,created_at,updated_at,cpu,memory,"
            "addresses,labels,environment,ports,command,security_groups,container_type,auto_remove) "
            f"VALUES ({values},UTC_TIMESTAMP(),UTC_TIMESTAMP(),1.0,'512M',"
            '\'{"net":[{"addr":"10.0.0.9","version":4,"port":"p"}]}\',\'{}\',\'{}\',\'[]\',\'["sleep"]\',\'[]\',0,0)'
        )
    database.query(settings, "zun", "DELETE FROM container; " + "; ".join(statements))
