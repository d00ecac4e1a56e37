"""Which rows a caller may know of: scopes for lists, and loaders that answer 404 for all else.

A loader's result is also the target of the policy rule: the row's columns, the owner of its network, and what rules
ask of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.paging import EVERYTHING, Scope
from stackyard.services.network import sharing
from stackyard.services.network.faults import not_found
from stackyard.services.network.ports.views import NETWORK_COLUMNS
from stackyard.services.network.tables import networks, ports, subnets

NETWORK_SHARED = sa.or_(networks.c.shared, sharing.shared("network", networks))
"""Whether a network is shared with bindparam("caller"), the only thing about it that depends on who asks."""

NETWORKS = sa.select(*(column for column in networks.c if column.name != "shared"), NETWORK_SHARED.label("shared"))
"""Networks as bindparam("caller") sees them."""

_OWN_NETWORK = sa.or_(networks.c.project_id == bindparam("caller"), sharing.visible("network", networks))
_NETWORKS_OF = sa.select(networks.c.id).where(networks.c.project_id == bindparam("caller"))
_OWN_SUBNET = sa.or_(
    subnets.c.project_id == bindparam("caller"),
    subnets.c.network_id.in_(_NETWORKS_OF),
    sharing.visible("network", subnets, "network_id"),
)
_OWN_PORT = sa.or_(ports.c.project_id == bindparam("caller"), ports.c.network_id.in_(_NETWORKS_OF))

_IS_OPEN = sharing.visible("network", networks).label("open_to_caller")
_NETWORK = NETWORKS.add_columns(_IS_OPEN).where(networks.c.id == bindparam("id"))
_NAMED = NETWORKS.add_columns(_IS_OPEN).where(networks.c.name == bindparam("name"))
_ANY_NETWORK = sa.select(networks).where(networks.c.id == bindparam("id"))
_SUBNET = (
    sa.select(
        subnets,
        networks.c.project_id.label("network_owner"),
        NETWORK_SHARED.label("shared"),
        networks.c.external,
        _IS_OPEN,
    )
    .join(networks, networks.c.id == subnets.c.network_id)
    .where(subnets.c.id == bindparam("id"))
)
_PORT = (
    sa.select(
        ports,
        *NETWORK_COLUMNS,
        networks.c.project_id.label("network_owner"),
        NETWORK_SHARED.label("shared"),
    )
    .join(networks, networks.c.id == ports.c.network_id)
    .where(ports.c.id == bindparam("id"))
)

_SCOPES = {"network": _OWN_NETWORK, "subnet": _OWN_SUBNET, "port": _OWN_PORT}


def scope(caller: Caller, what: str) -> Scope:
    """What of networks, subnets or ports a list shows to the caller."""
    if caller.is_admin:
        return everything(caller)
    return Scope(what, _SCOPES[what], {"caller": caller.project_id})


def own_or_shared(caller: Caller, object_type: str, table: sa.Table) -> Scope:
    """What belongs to the caller's project or is shared with it; for an administrator, all."""
    if caller.is_admin:
        return everything(caller)
    where = sa.or_(table.c.project_id == bindparam("caller"), sharing.visible(object_type, table))
    return Scope("own or shared", where, {"caller": caller.project_id})


def everything(caller: Caller) -> Scope:
    """All rows, for selects that show them as the caller sees them."""
    return Scope(EVERYTHING.name, None, {"caller": caller.project_id})


def own(caller: Caller, table: sa.Table) -> Scope:
    """What belongs to the caller's project; for an administrator, all."""
    if caller.is_admin:
        return everything(caller)
    return Scope("own", table.c.project_id == bindparam("caller"), {"caller": caller.project_id})


def network(tx: Transaction, caller: Caller, network_id: str) -> Row[Any]:
    """A network that the caller may see; raises NetworkNotFound."""
    row = tx.first(_NETWORK, {"id": network_id, "caller": caller.project_id})
    if row is None or not (caller.is_admin or row.project_id == caller.project_id or row.open_to_caller):
        raise not_found("Network", network_id)
    return row


def networks_named(tx: Transaction, caller: Caller, name: str) -> list[Row[Any]]:
    """The networks of a name that the caller may see."""
    found = tx.all(_NAMED, {"name": name, "caller": caller.project_id})
    return [row for row in found if caller.is_admin or row.project_id == caller.project_id or row.open_to_caller]


def any_network(tx: Transaction, network_id: str) -> Row[Any]:
    """A network, whoever asks; raises NetworkNotFound."""
    row = tx.first(_ANY_NETWORK, {"id": network_id})
    if row is None:
        raise not_found("Network", network_id)
    return row


def network_target(row: Any) -> Mapping[str, Any]:
    """A network as rules look at it."""
    return row._mapping  # type: ignore[no-any-return]


def on_network(row: Any, project_id: str) -> dict[str, Any]:
    """What rules look at when something of `project_id` is to be made on a network."""
    return {
        "project_id": project_id,
        "tenant_id": project_id,
        "network:project_id": row.project_id,
        "shared": row.shared,
        "external": row.external,
    }


def owned(caller: Caller, row: Any, missing: NotFound) -> Any:
    """The row, when it is there and the caller's or the caller an administrator; else raises `missing`."""
    if row is None or not (caller.is_admin or row.project_id == caller.project_id):
        raise missing
    return row


class Found(dict[str, Any]):
    """A row for rules to look at: its columns, and more keys. Columns are attributes too."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def subnet(tx: Transaction, caller: Caller, subnet_id: str) -> Found:
    """A subnet that the caller may see; raises SubnetNotFound."""
    row = tx.first(_SUBNET, {"id": subnet_id, "caller": caller.project_id})
    if row is None or not (
        caller.is_admin or caller.project_id in (row.project_id, row.network_owner) or row.open_to_caller
    ):
        raise not_found("Subnet", subnet_id)
    return Found(row._mapping, **{"network:project_id": row.network_owner})


def port(tx: Transaction, caller: Caller, port_id: str) -> Found:
    """A port that the caller may see; raises PortNotFound."""
    row = tx.first(_PORT, {"id": port_id, "caller": caller.project_id})
    if row is None or not (caller.is_admin or caller.project_id in (row.project_id, row.network_owner)):
        raise not_found("Port", port_id)
    return Found(row._mapping, **port_facts(row.device_owner), **{"network:project_id": row.network_owner})


def port_facts(device_owner: str) -> dict[str, bool]:
    """What the rules network_device and the like ask of a port's owner."""
    return {
        "network_device": device_owner.startswith("network:"),
        "compute_device": device_owner.startswith(("compute:", "baremetal:", "manila:")),
    }
