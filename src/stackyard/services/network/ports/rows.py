"""Writing ports: the one place where a port's row, addresses, groups, quota and marks are made and removed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import allocation, marks, owners, resources
from stackyard.services.network.addresses import new_mac
from stackyard.services.network.faults import conflict
from stackyard.services.network.ports.choice import Chosen, Wish, choose_all
from stackyard.services.network.tables import ip_allocations, port_security_groups, ports

_INSERT = sa.insert(ports)
_INSERT_GROUP = sa.insert(port_security_groups)
_DROP_GROUPS = sa.delete(port_security_groups).where(port_security_groups.c.port_id == bindparam("id"))
_DROP_ADDRESSES = sa.delete(ip_allocations).where(ip_allocations.c.port_id == bindparam("id"))
_DELETE = sa.delete(ports).where(ports.c.id == bindparam("id"))
_ROW = sa.select(ports).where(ports.c.id == bindparam("id"))
_THERE = sa.select(ports.c.mac_address).where(
    ports.c.network_id == bindparam("network"), ports.c.mac_address.in_(bindparam("macs", expanding=True))
)
_MAC = sa.select(ports.c.id).where(ports.c.network_id == bindparam("network"), ports.c.mac_address == bindparam("mac"))


@dataclass(slots=True, kw_only=True)
class NewPort:
    """A port that is to be made. `fixed_ips` None: whatever is right; `mac` None: a random one.

    `more` are further columns of its row, where they are not to be as for any port.
    """

    network_id: str
    project_id: str
    name: str = ""
    description: str = ""
    mac: str | None = None
    fixed_ips: Sequence[dict[str, str]] | None = None
    device_id: str = ""
    device_owner: str = ""
    admin_state_up: bool = True
    port_security: bool = True
    security_groups: Sequence[str] = ()
    address_pairs: Sequence[dict[str, str]] = ()
    dns_name: str = ""
    binding_host: str = ""
    vnic_type: str = "normal"
    binding_profile: dict[str, Any] = field(default_factory=dict)
    lowest: bool = False
    tags: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        """Whether it counts against its project's quota."""
        return bool(self.project_id) and self.device_owner != owners.DHCP


def read(tx: Transaction, port_id: str) -> Any:
    """A port's row, or None."""
    return tx.first(_ROW, {"id": port_id})


def insert(tx: Transaction, runtime: Runtime, new: NewPort) -> dict[str, Any]:
    """Write one port; as `insert_all`."""
    return insert_all(tx, runtime, [new])[0]


def insert_all(tx: Transaction, runtime: Runtime, news: Sequence[NewPort]) -> list[dict[str, Any]]:
    """Write ports, all or none; raises Neutron's faults for addresses, MACs and quota."""
    macs = _macs(tx, news)
    counts = Counter(new.project_id for new in news if new.counted)
    for project_id, amount in counts.items():
        resources.reserve(tx, runtime, project_id, "port", amount)
    wishes = [
        Wish(new.network_id, mac, new.device_owner, new.fixed_ips, lowest=new.lowest, port_id=new_uuid())
        for new, mac in zip(news, macs, strict=True)
    ]
    chosen = choose_all(tx, wishes)
    rows = [_row(tx, new, wish, found) for new, wish, found in zip(news, wishes, chosen, strict=True)]
    try:
        tx.execute(_INSERT, rows)
        allocation.take_all(tx, {wish.port_id: found for wish, found in zip(wishes, chosen, strict=True)})
    except IntegrityError as error:
        # Someone took the address or the MAC in the meantime: choose anew.
        raise TryAgain(str(error.orig)) from error
    groups = [{"port_id": row["id"], "security_group_id": one} for row in rows for one in row["security_group_ids"]]
    if groups:
        tx.execute(_INSERT_GROUP, groups)
    resources.store_tags(tx, rows)
    timeline.record_all(tx, marks.PORT, [row["id"] for row in rows], "create asked")
    delays: dict[str, float] = {}
    for new in news:
        if new.device_owner != owners.FLOATING_IP:
            delay = 0 if new.device_owner == owners.DHCP else marks.SOON
            delays[new.network_id] = min(delay, delays.get(new.network_id, delay))
    for network_id, delay in delays.items():
        marks.network(tx, network_id, delay=delay)
    return rows


def _macs(tx: Transaction, news: Sequence[NewPort]) -> list[str]:
    """Each port's MAC: the one asked for, when no port of the network has it, or a random one."""
    taken: set[tuple[str, str]] = set()
    for new in news:
        if new.mac:
            if (new.network_id, new.mac) in taken:
                _refuse_mac(new.network_id, new.mac)
            refuse_taken_mac(tx, new.network_id, new.mac)
            taken.add((new.network_id, new.mac))
    found = [new.mac or _draw(new.network_id, taken) for new in news]
    if len(news) > 1:
        # Of many drawn ones some may well be there already; of a single one the database says so.
        for network_id in {new.network_id for new in news}:
            known = set(tx.connection.execute(_THERE, {"network": network_id, "macs": found}).scalars())
            found = [
                _draw(network_id, taken) if new.network_id == network_id and mac in known and not new.mac else mac
                for new, mac in zip(news, found, strict=True)
            ]
    return found


def _draw(network_id: str, taken: set[tuple[str, str]]) -> str:
    """A random MAC that is not among those taken on the network, which it joins."""
    mac = new_mac()
    while (network_id, mac) in taken:
        mac = new_mac()
    taken.add((network_id, mac))
    return mac


_PLAIN: dict[str, Any] = {
    "extra_dhcp_opts": [],
    "dns_domain": "",
    "qos_policy_id": None,
    "data_plane_status": None,
    "propagate_uplink_status": True,
    "vif_type": "unbound",
    "numa_affinity_policy": None,
    "device_profile": None,
    "hints": None,
    "hardware_offload_type": None,
    "trusted": None,
    "wire": "veth",
    "netns": None,
    "device": None,
    "status": "DOWN",
    "status_reason": "",
    "revision_number": 1,
}
"""What a new port has unless something else is said."""


def _row(tx: Transaction, new: NewPort, wish: Wish, chosen: Sequence[Chosen]) -> dict[str, Any]:
    own = {
        "id": wish.port_id,
        "project_id": new.project_id,
        "name": new.name,
        "description": new.description,
        "tags": list(new.tags),
        "created_at": tx.now,
        "updated_at": tx.now,
        "network_id": new.network_id,
        "admin_state_up": new.admin_state_up,
        "mac_address": wish.mac,
        "device_id": new.device_id,
        "device_owner": new.device_owner,
        "port_security_enabled": new.port_security,
        "dns_name": new.dns_name,
        "fixed_ips": stored(chosen),
        "ip_allocation": "none" if new.fixed_ips is not None and not chosen else "immediate",
        "security_group_ids": list(new.security_groups),
        "allowed_address_pairs": [
            item | {"mac_address": item["mac_address"] or wish.mac} for item in new.address_pairs
        ],
        "counted": new.counted,
        "binding_host": new.binding_host,
        "binding_vnic_type": new.vnic_type,
        "binding_profile": new.binding_profile,
    }
    return {**_PLAIN, **own, **new.more}


def stored(chosen: Sequence[Chosen]) -> list[dict[str, str]]:
    """Addresses as the row keeps them and the API shows them."""
    return [{"subnet_id": subnet_id, "ip_address": text} for subnet_id, _, text in chosen]


def refuse_taken_mac(tx: Transaction, network_id: str, mac: str) -> None:
    """Raise MacAddressInUse when a port of the network has this MAC."""
    if tx.scalar(_MAC, {"network": network_id, "mac": mac}) is not None:
        _refuse_mac(network_id, mac)


def _refuse_mac(network_id: str, mac: str) -> None:
    raise conflict(
        "MacAddressInUse",
        f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
    )


def change_addresses(tx: Transaction, row: Any, chosen: Sequence[Chosen]) -> list[dict[str, str]]:
    """Give and take addresses so that the port has the chosen ones; returns them as the row keeps them."""
    now = {(item["subnet_id"], item["ip_address"]) for item in row.fixed_ips}
    then = {(subnet_id, text) for subnet_id, _, text in chosen}
    for subnet_id, text in now - then:
        allocation.give_back(tx, row.id, subnet_id, text)
    try:
        allocation.take(tx, row.id, [item for item in chosen if (item[0], item[2]) not in now])
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    return stored(chosen)


def change_groups(tx: Transaction, port_id: str, groups: Sequence[str]) -> None:
    """Put a port into these groups and no others."""
    tx.execute(_DROP_GROUPS, {"id": port_id})
    if groups:
        tx.execute(_INSERT_GROUP, [{"port_id": port_id, "security_group_id": group} for group in groups])


def remove(tx: Transaction, runtime: Runtime, port_id: str) -> None:
    """Delete a port with its addresses; gone is fine."""
    row = read(tx, port_id)
    if row is None:
        return
    tx.execute(_DROP_GROUPS, {"id": port_id})
    tx.execute(_DROP_ADDRESSES, {"id": port_id})
    resources.forget_tags(tx, port_id)
    tx.execute(_DELETE, {"id": port_id})
    if row.counted:
        resources.release(tx, runtime, row.project_id, "port")
    timeline.record(tx, marks.PORT, port_id, "delete asked")
    if row.device_owner != owners.FLOATING_IP:
        marks.network(tx, row.network_id, left=row.binding_host)
    if row.netns is not None:
        marks.port_left(tx, port_id, row.binding_host)
        marks.security_groups(tx, row.security_group_ids)
