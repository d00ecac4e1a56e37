"""What other services may ask of the network service, in their own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.network import default_groups, marks, resources, seen, sharing, wiring
from stackyard.services.network.addresses import interface_address, read_mac
from stackyard.services.network.bootstrap import bootstrap
from stackyard.services.network.compare import differences
from stackyard.services.network.device_ports import (
    auto_allocated_network,
    claim_ports,
    devices_with_address,
    has_subnet,
    ports_of_devices,
    shown_ports,
    usable_networks,
)
from stackyard.services.network.faults import not_found
from stackyard.services.network.floating import disassociate_port
from stackyard.services.network.guests import GuestPort, GuestSubnet, guest_ports
from stackyard.services.network.hosts import local as local_host
from stackyard.services.network.hosts import physical_networks, use_name
from stackyard.services.network.inward import Inward
from stackyard.services.network.metadata import DeviceMetadata, PortMetadata
from stackyard.services.network.ports import choice, rows
from stackyard.services.network.ports.bodies import read_dns_name, read_groups
from stackyard.services.network.ports.prepared import drop_binding, forget_binding, prepare_binding
from stackyard.services.network.ports.views import for_admin, of_network, view
from stackyard.services.network.tables import networks, ports, security_groups
from stackyard.services.network.trunks import rows as trunks
from stackyard.services.network.workloads import (
    claim_port,
    create_security_group,
    delete_security_group,
    ensure_default_group,
    oldest_network,
)

__all__ = [
    "DeviceMetadata", "GuestPort", "GuestSubnet", "Inward", "PortMetadata", "PortRequest", "auto_allocated_network",
    "bind_port", "binding", "bootstrap", "claim_port", "claim_ports", "create_port", "create_ports",
    "create_security_group", "default_network", "delete_port", "delete_security_group", "devices_with_address",
    "differences", "dns_domain", "dns_servers", "drop_binding", "ensure_default_group", "entrance", "find_network",
    "find_port", "find_security_group", "find_security_groups", "guest_ports", "has_subnet", "interface_address",
    "is_wired", "local_host", "look_again", "network_mtu", "oldest_network", "physical_networks", "port_view",
    "ports_of_device", "ports_of_devices", "prepare_binding", "rename_port", "rewire_now", "set_security_groups",
    "shown_ports", "unbind_port", "unwire_now", "usable_networks", "use_name", "wire_now",
]  # fmt: skip


class PortRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A port that another service wants. `fixed_ips` are addresses, or mappings as in Neutron's API; empty: any.

    `security_groups` are names or ids; None: the project's default group. `dns_name` is the host name that the
    network's DNS answers; one that is no host name is left out. `project_id` None: the caller's.
    """

    network_id: str
    project_id: str | None = None
    name: str = ""
    dns_name: str = ""
    fixed_ips: tuple[str | dict[str, str], ...] | None = None
    mac: str | None = None
    security_groups: tuple[str, ...] | None = None
    device_id: str = ""
    device_owner: str = ""


_OWN_NETWORKS = (
    sa.select(networks)
    .where(networks.c.project_id == bindparam("project"), sa.not_(networks.c.external))
    .order_by(networks.c.created_at)
)
_SHARED_NETWORKS = seen.NETWORKS.where(seen.NETWORK_SHARED, sa.not_(networks.c.external)).order_by(
    networks.c.created_at
)
_GROUP = sa.select(security_groups).where(
    sa.or_(security_groups.c.id == bindparam("key"), security_groups.c.name == bindparam("key")),
    security_groups.c.project_id == bindparam("project"),
)
_SHARED_GROUP = sa.select(security_groups).where(
    security_groups.c.id == bindparam("key"), sharing.visible("security_group", security_groups)
)
_ANY_GROUP = sa.select(security_groups).where(security_groups.c.id == bindparam("key"))
_BIND = (
    sa.update(ports)
    .where(ports.c.id == bindparam("key"))
    .values(
        netns=bindparam("netns_"), device=bindparam("device_"), binding_host=bindparam("host_"),
        wire=bindparam("wire_"), status=bindparam("status_"), status_reason="", updated_at=bindparam("now_"),
        revision_number=ports.c.revision_number + 1,
    )
)  # fmt: skip
_OF_DEVICE = sa.select(ports).where(ports.c.device_id == bindparam("device")).order_by(ports.c.created_at)
_SERVICE_PORTS = sa.select(ports.c.fixed_ips).where(
    ports.c.network_id.in_(bindparam("networks", expanding=True)), ports.c.device_owner == "network:dhcp"
)


def find_network(tx: Transaction, caller: Caller, name_or_id: str) -> Any:
    """A network that the caller may use, by id or name; raises NetworkNotFound, or Conflict for an ambiguous name."""
    try:
        return seen.network(tx, caller, name_or_id)
    except NotFound:
        named = seen.networks_named(tx, caller, name_or_id)
    own = [row for row in named if row.project_id == caller.project_id]
    best = own or named
    if len(best) > 1:
        raise Conflict(
            f"There are {len(best)} networks named '{name_or_id}'; use an id to say which.",
            kind="NetworksNameAmbiguous",
        )
    if not best:
        raise not_found("Network", name_or_id)
    return best[0]


def default_network(tx: Transaction, caller: Caller) -> Any:
    """The network for a workload that names none: the project's only one, else the only shared one.

    Raises NotFound when there is none, Conflict when there are several.
    """
    for statement in (_OWN_NETWORKS, _SHARED_NETWORKS):
        found = tx.all(statement, {"project": caller.project_id, "caller": caller.project_id})
        if len(found) > 1:
            raise Conflict(
                f"Project {caller.project_id} can use {len(found)} networks; name the one to use.",
                kind="NetworkAmbiguous",
            )
        if found:
            return found[0]
    raise NotFound(f"Project {caller.project_id} has no network; create one with a subnet.", kind="NetworkNotFound")


def find_security_group(tx: Transaction, caller: Caller, name_or_id: str) -> Any:
    """One of the caller's security groups, by id or name, or one shared with him, by id.

    Raises SecurityGroupNotFound, Conflict.
    """
    found = tx.all(_GROUP, {"key": name_or_id, "project": caller.project_id})
    if not found:
        found = tx.all(_SHARED_GROUP, {"key": name_or_id, "caller": caller.project_id})
    if not found and caller.is_admin:
        found = tx.all(_ANY_GROUP, {"key": name_or_id})
    exact = [row for row in found if row.id == name_or_id] or found
    if not exact:
        raise not_found("SecurityGroup", name_or_id)
    if len(exact) > 1:
        raise Conflict(f"There are {len(exact)} security groups named '{name_or_id}'; use an id to say which.")
    return exact[0]


def find_security_groups(tx: Transaction, caller: Caller, names_or_ids: Sequence[str]) -> list[str]:
    """Ids of the caller's security groups, in order, each once; raises SecurityGroupNotFound, Conflict."""
    return list(dict.fromkeys(find_security_group(tx, caller, key).id for key in names_or_ids))


def find_port(tx: Transaction, caller: Caller, port_id: str) -> Any:
    """A port that the caller may see; raises PortNotFound."""
    return seen.port(tx, caller, port_id)


def create_port(tx: Transaction, runtime: Runtime, caller: Caller, request: PortRequest) -> Any:
    """Make a port on a network that the caller may use; returns its row, with columns as attributes.

    Raises Neutron's faults: NetworkNotFound, IpAddressGenerationFailure, OverQuota, SecurityGroupNotFound, ...
    """
    return create_ports(tx, runtime, caller, [request])[0]


def create_ports(tx: Transaction, runtime: Runtime, caller: Caller, requests: Sequence[PortRequest]) -> list[Any]:
    """The same for many, all or none; what several of them name is looked up once."""
    known: dict[str, Any] = {}
    groups: dict[Any, list[str]] = {}
    news = []
    for request in requests:
        network = known.get(request.network_id)
        if network is None:
            network = known[request.network_id] = _network_for_port(tx, caller, request.network_id)
        project_id = request.project_id or caller.project_id
        if not project_id:
            raise BadRequest("A token scoped to a project is needed to make a port.")
        key = (project_id, request.security_groups)
        secure = bool(network.port_security_enabled)
        if secure and key not in groups:
            groups[key] = _groups(tx, runtime, caller, request, project_id)
        news.append(
            rows.NewPort(
                network_id=network.id,
                project_id=project_id,
                name=request.name,
                mac=read_mac("mac_address", request.mac) if request.mac else None,
                fixed_ips=[{"ip_address": item} if isinstance(item, str) else item for item in request.fixed_ips or ()]
                or None,
                device_id=request.device_id,
                device_owner=request.device_owner,
                port_security=secure,
                security_groups=groups[key] if secure else [],
                dns_name=_dns_name(request.dns_name, network.dns_domain or runtime.settings.network.dns_domain),
            )
        )
    return [seen.Found(row) for row in rows.insert_all(tx, runtime, news)]


def _network_for_port(tx: Transaction, caller: Caller, network_id: str) -> Any:
    network = seen.network(tx, caller, network_id)
    if not (network.shared or caller.is_admin or network.project_id == caller.project_id):
        raise Forbidden(
            f"Network {network.id} is external: only its owner can have ports on it. Use a network of the project.",
            kind="ExternalNetworkAttachForbidden",
        )
    return network


def _groups(tx: Transaction, runtime: Runtime, caller: Caller, request: PortRequest, project_id: str) -> list[str]:
    if request.security_groups is None:
        return [default_groups.ensure(tx, runtime, project_id)]
    if default_groups.NAME in request.security_groups:
        default_groups.ensure(tx, runtime, project_id)
    return find_security_groups(tx, caller, request.security_groups)


def _dns_name(text: str, domain: str) -> str:
    try:
        return read_dns_name(text, domain)
    except BadRequest:
        return ""


def rename_port(tx: Transaction, runtime: Runtime, port_id: str, dns_name: str) -> None:
    """Change the name that a port's addresses have in the network's DNS."""
    row = rows.read(tx, port_id)
    if row is not None:
        name = _dns_name(dns_name, runtime.settings.network.dns_domain)
        resources.touch(tx, ports, port_id, dns_name=name)
        marks.network(tx, row.network_id)


def set_security_groups(tx: Transaction, port_id: str, group_ids: Sequence[str]) -> None:
    """Put a port into these groups and no others; raises PortNotFound, SecurityGroupNotFound."""
    row = _port(tx, port_id)
    groups = read_groups(tx, group_ids, None)
    rows.change_groups(tx, port_id, groups)
    resources.touch(tx, ports, port_id, security_group_ids=groups)
    if row.netns is not None:
        marks.port(tx, port_id)
        marks.security_groups(tx, {*row.security_group_ids, *groups})


def _port(tx: Transaction, port_id: str) -> Any:
    row = rows.read(tx, port_id)
    if row is None:
        raise not_found("Port", port_id)
    return row


def delete_port(tx: Transaction, runtime: Runtime, port_id: str) -> None:
    """Delete a port, its floating IP being left without it; gone is fine."""
    disassociate_port(tx, port_id)
    trunks.forget_port(tx, runtime, port_id)
    rows.remove(tx, runtime, port_id)


def port_view(tx: Transaction, port_id: str, default_domain: str = "openstacklocal") -> dict[str, Any]:
    """A port as the API shows it to an administrator; raises PortNotFound."""
    row = _port(tx, port_id)
    network = seen.any_network(tx, row.network_id)
    known = seen.Found(row._mapping, **of_network(network))
    return view(known, for_admin(network.dns_domain or default_domain))


def ports_of_device(tx: Transaction, device_id: str) -> Sequence[Any]:
    """The ports of a workload, oldest first."""
    return tx.all(_OF_DEVICE, {"device": device_id})


def bind_port(tx: Transaction, port_id: str, *, netns: str, device: str, host: str, wire: str = "") -> None:
    """Say where a port is to be: as `device` in the network namespace at the path `netns` on `host`.

    `wire` is a kind of the host's PortSpec; without one the port's stays as it is, which is veth at first.
    `wire_now` makes it so; when nobody calls that, a reconciler does some seconds later.
    """
    row = _port(tx, port_id)
    if (row.netns, row.device, row.binding_host, row.wire) == (netns, device, host, wire or row.wire):
        return
    values = {"key": port_id, "netns_": netns, "device_": device, "host_": host, "status_": "BUILD", "now_": tx.now}
    values["wire_"] = wire or row.wire
    tx.execute(_BIND, values)
    timeline.record(tx, marks.PORT, port_id, "bound", f"{device} on {host}")
    marks.port(tx, port_id, delay=marks.LATER)
    left = row.binding_host if row.netns is not None and row.binding_host != host else ""
    if row.binding_host and row.binding_host != host:
        forget_binding(tx, port_id, host)
    marks.bound(tx, row.network_id, row.security_group_ids, host=host, left=left)
    if left:
        marks.port_left(tx, port_id, left)
    trunks.follow(tx, port_id)


def binding(tx: Transaction, port_id: str) -> tuple[str, str, str] | None:
    """Where a port is to be: the namespace's path, the device in it, the host. None when it is bound nowhere."""
    row = rows.read(tx, port_id)
    return None if row is None or row.netns is None else (row.netns, row.device, row.binding_host)


def unbind_port(tx: Transaction, port_id: str) -> None:
    """Say that a port is nowhere; a reconciler unwires it. Gone or unbound is fine."""
    row = rows.read(tx, port_id)
    if row is None or row.netns is None:
        return
    values = {"key": port_id, "netns_": None, "device_": None, "host_": "", "status_": "DOWN", "now_": tx.now}
    values["wire_"] = "veth" if row.wire == "offered" else row.wire
    tx.execute(_BIND, values)
    timeline.record(tx, marks.PORT, port_id, "unbound")
    marks.port_left(tx, port_id, row.binding_host)
    marks.bound(tx, row.network_id, (), host="", left=row.binding_host)
    marks.security_groups(tx, row.security_group_ids)
    trunks.follow(tx, port_id)


def wire_now(runtime: Runtime, port_ids: Sequence[str]) -> None:
    """Apply the networks, security groups and wiring of bound ports on this host, now, and set them ACTIVE.

    Not to be called in a transaction. Raises HostError (try again), SpecError.
    """
    wiring.wire(runtime, port_ids)


def rewire_now(runtime: Runtime, port_ids: Sequence[str]) -> None:
    """The same, with new wires: what was there before of these is removed first."""
    for port_id in port_ids:
        runtime[keys.NETWORK_DRIVER].remove_port(port_id)
    wiring.wire(runtime, port_ids)


def unwire_now(runtime: Runtime, port_ids: Sequence[str]) -> None:
    """Remove the wires of ports that are bound nowhere any more, or gone, without waiting for a reconciler."""
    for port_id in port_ids:
        wiring.settle_port(runtime, port_id)


def is_wired(runtime: Runtime, port_id: str) -> bool:
    """Whether this host has a port's wire, whole, as a look at the kernel shows."""
    return port_id in runtime[keys.NETWORK_DRIVER].observe().ports


def entrance(runtime: Runtime, network_id: str) -> str | None:
    """The path of a namespace on this host that has an address on the network; None when it has no such."""
    return runtime[keys.NETWORK_DRIVER].entrance(network_id)


def dns_servers(tx: Transaction, network_ids: Sequence[str]) -> list[str]:
    """The DNS servers that workloads on these networks should ask, in order: the subnets' own, else the network's."""
    found: dict[str, None] = {}
    for network_id in network_ids:
        own = [server for subnet in choice.subnets_of(tx, network_id) for server in subnet.dns_nameservers]
        service = [
            ip["ip_address"] for row in tx.all(_SERVICE_PORTS, {"networks": [network_id]}) for ip in row.fixed_ips
        ]
        found |= dict.fromkeys([*sorted(service, key=lambda text: ":" in text), *own])
    return list(found)


def dns_domain(tx: Transaction, runtime: Runtime, network_id: str) -> str:
    """The domain of a network's names, without a final dot."""
    network = seen.any_network(tx, network_id)
    return str(network.dns_domain or runtime.settings.network.dns_domain).rstrip(".")


def network_mtu(tx: Transaction, network_id: str) -> int:
    """The largest packet, in bytes, that a network's workloads may send; raises NetworkNotFound."""
    return int(seen.any_network(tx, network_id).mtu)


def look_again(tx: Transaction, port_ids: Sequence[str]) -> None:
    """Have the wires of ports looked at on their hosts, and made anew where they are not as they should be."""
    for port_id in port_ids:
        marks.port(tx, port_id)
