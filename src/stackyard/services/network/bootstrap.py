"""The networks that a new cloud has: `public`, which leads out, `private` for the demo project, a router between.

And the default subnet pools, out of which other projects' networks are cut.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.identity import api as identity
from stackyard.services.network import default_groups, default_rules, seen, sharing
from stackyard.services.network.networks import rows as network_rows
from stackyard.services.network.networks.bodies import NewNetwork
from stackyard.services.network.routers import interfaces
from stackyard.services.network.routers import rows as router_rows
from stackyard.services.network.routers.bodies import GatewayInfo, NewRouter
from stackyard.services.network.segments import ranges
from stackyard.services.network.subnetpools import operations as subnetpools
from stackyard.services.network.subnetpools import rows as pool_rows
from stackyard.services.network.subnetpools.bodies import NewPool
from stackyard.services.network.subnets import rows as subnet_rows
from stackyard.services.network.subnets.bodies import NewSubnet
from stackyard.services.network.tables import networks, subnets

PUBLIC = "public"
PRIVATE = "private"
ROUTER = "router1"

_NAMED = sa.select(networks.c.id).where(
    networks.c.name == bindparam("name"), networks.c.project_id == bindparam("project")
)
_SUBNET = sa.select(subnets).where(subnets.c.id == bindparam("id"))


def bootstrap(tx: Transaction, runtime: Runtime) -> None:
    """Make what is not there yet."""
    ranges.refresh_defaults(tx, runtime.settings.network)
    default_rules.seed(tx)
    sharing.adopt(tx)
    admin = identity.find_project_by_name(tx, "admin")
    demo = identity.find_project_by_name(tx, "demo")
    if admin is not None:
        default_groups.ensure(tx, runtime, admin.id)
        public = _public(tx, runtime, admin.id)
        _pools(tx, runtime, admin.id)
        if demo is not None:
            default_groups.ensure(tx, runtime, demo.id)
            _private(tx, runtime, demo.id, public)


def _find(tx: Transaction, name: str, project_id: str) -> str | None:
    found: str | None = tx.scalar(_NAMED, {"name": name, "project": project_id})
    return found


def _network(tx: Transaction, runtime: Runtime, project_id: str, body: NewNetwork) -> Any:
    return seen.any_network(tx, network_rows.insert(tx, runtime, project_id, body)["id"])


def _public(tx: Transaction, runtime: Runtime, project_id: str) -> Any:
    known = _find(tx, PUBLIC, project_id)
    if known is not None:
        return seen.any_network(tx, known)
    network = _network(tx, runtime, project_id, NewNetwork(name=PUBLIC, external=True, is_default=True))
    subnet = NewSubnet(
        network_id=network.id, name="public-subnet", ip_version=4, cidr=runtime.settings.network.public_cidr,
        enable_dhcp=False,
    )  # fmt: skip
    subnet_rows.insert(tx, runtime, network, project_id, subnet)
    return network


def _pools(tx: Transaction, runtime: Runtime, project_id: str) -> None:
    """Default subnet pools for everybody, as DevStack has them: without, no topology is allocated by itself."""
    settings = runtime.settings.network
    for cidr, length in ((settings.pool_cidr, 26), (settings.pool_cidr_v6, 64)):
        version = ipaddress.ip_network(cidr).version
        if pool_rows.default(tx, version) is None:
            body = NewPool(
                name=f"shared-default-subnetpool-v{version}", prefixes=[cidr], default_prefixlen=length,
                is_default=True, shared=True,
            )  # fmt: skip
            subnetpools.insert(tx, runtime, project_id, body, new_uuid())


def _private(tx: Transaction, runtime: Runtime, project_id: str, public: Any) -> None:
    if _find(tx, PRIVATE, project_id) is not None:
        return
    settings = runtime.settings.network
    network = _network(tx, runtime, project_id, NewNetwork(name=PRIVATE))
    v4 = NewSubnet(network_id=network.id, name="private-subnet", ip_version=4, cidr=settings.private_cidr)
    slaac = "slaac" if ipaddress.ip_network(settings.private_cidr_v6).prefixlen == 64 else "dhcpv6-stateful"
    v6 = NewSubnet(
        network_id=network.id, name="ipv6-private-subnet", ip_version=6, cidr=settings.private_cidr_v6,
        ipv6_ra_mode=slaac, ipv6_address_mode=slaac,
    )  # fmt: skip
    gateway = GatewayInfo(network_id=public.id)
    router_id = router_rows.insert(
        tx, runtime, project_id, NewRouter(name=ROUTER, external_gateway_info=gateway), public
    )
    for body in (v4, v6):
        made = subnet_rows.insert(tx, runtime, network, project_id, body)
        subnet = tx.first(_SUBNET, {"id": made["id"]})
        interfaces.plug_subnet(tx, runtime, router_rows.read(tx, router_id), subnet)
