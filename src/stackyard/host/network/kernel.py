"""The network driver that programs the Linux kernel: the one door to everything in this folder.

Devices and filters live in the cloud's fabric namespace (fabric.py); here a spec is checked, compared with what was
applied last, handed to the part that knows how, and remembered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from stackyard.host.errors import HostError
from stackyard.host.network import (
    address_groups,
    bridges,
    checks,
    connections,
    metering,
    names,
    netns,
    ports,
    router_checks,
    security_groups,
    statefulness,
    survey,
    taps,
)
from stackyard.host.network.applied import Applied, port_addresses
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.filter import TABLE
from stackyard.host.network.host_side import HostSide
from stackyard.host.network.metadata import MetadataHandler
from stackyard.host.network.metadata_sockets import MetadataSockets
from stackyard.host.network.nft import NftError
from stackyard.host.network.provider import Provider
from stackyard.host.network.routers import Routers
from stackyard.host.network.servers import Servers
from stackyard.host.network.tunnels import Tunnels
from stackyard.host.specs import (
    AddressGroupSpec,
    NetworkObservation,
    NetworkPart,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    SecurityGroupSpec,
    Tap,
)

_T = TypeVar("_T")


def _only_ports_differ(spec: NetworkSpec, before: NetworkSpec) -> bool:
    """The change that every port brings; it needs no more than new files for the server and entries of the tunnel."""
    return msgspec.structs.replace(spec, hosts=before.hosts, peers=before.peers) == before


@dataclass(frozen=True)
class Reach:
    """How networks leave the host: by tunnels from `tunnel_address`, by `interfaces` (physical network -> interface).

    With `take_used` a flat network may take an interface that the host itself has addresses on. `host_namespace` is
    the path of the host's own namespace when that is not this process's.
    """

    tunnel_address: str = ""
    interfaces: Mapping[str, str] = field(default_factory=dict)
    take_used: bool = False
    host_namespace: str = ""


class KernelNetworkDriver:
    """Bridges, veth pairs, nftables, dnsmasq and radvd of one cloud on this host. Needs root.

    `cloud_id` (4 to 16 lower-case letters and digits) tells this cloud's things from another's; `host_ports` are the
    TCP ports of the host that its tenants may reach, `reach` says how networks leave it. The state directory should be
    open to all (mode 0711 or wider, and so its parents): then dnsmasq runs as nobody, else as root.
    """

    def __init__(
        self, cloud_id: str, state_dir: Path, *, host_ports: tuple[int, ...] = (), reach: Reach | None = None
    ) -> None:
        reach = reach or Reach()
        self._fabric = Fabric(cloud_id, reach.host_namespace)
        self._state_directory = Path(state_dir)
        self._host = HostSide(self._fabric, host_ports)
        self._metadata = MetadataSockets()
        self._servers = Servers(self._fabric, self._state_directory, self._metadata)
        self._routers = Routers(self._fabric, self._state_directory, self._metadata)
        self._tunnels = Tunnels(self._fabric, reach.tunnel_address)
        self._provider = Provider(self._fabric, reach.interfaces, take_used=reach.take_used)
        self._applied = Applied()

    @property
    def fabric_namespace(self) -> str:
        """Name, in /run/netns, of the namespace with the cloud's bridges."""
        return self._fabric.namespace

    def start(self) -> None:
        """See NetworkDriver."""
        self._translated("start the network driver", self._start)

    def _start(self) -> None:
        self._state_directory.mkdir(parents=True, exist_ok=True)
        self._fabric.start()

    def close(self) -> None:
        """End the driver's threads. Everything in the kernel stays, for a later run to adopt."""
        self._metadata.close_all()
        self._fabric.stop()

    def _do(self, what: str, function: Callable[[], _T]) -> _T:
        return self._translated(what, lambda: self._fabric.run(function))

    @staticmethod
    def _translated(what: str, function: Callable[[], _T]) -> _T:
        """The kernel's refusals become HostError, naming what was tried."""
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            return function()
        except HostError as error:
            raise type(error)(f"{what}: {error}") from error
        except (NetlinkError, OSError) as error:
            raise HostError(f"{what}: the kernel refused: {error}") from error

    # ------------------------------------------------------------------------------------------------ networks

    def apply_network(self, spec: NetworkSpec) -> None:
        """See NetworkDriver."""
        checks.check_network(spec)
        self._do(f"apply network {spec.id}", lambda: self._apply_network(spec))

    def _apply_network(self, spec: NetworkSpec) -> None:
        before = self._applied.networks.get(spec.id)
        if before == spec:
            return
        self._applied.networks.pop(spec.id, None)
        if before is None or not _only_ports_differ(spec, before):
            self._apply_bridge_and_server(spec, before)
        else:
            if spec.peers or before.peers:
                self._tunnels.apply(spec, before)
            self._servers.apply_hosts(spec)
        self._applied.networks[spec.id] = spec

    def _apply_bridge_and_server(self, spec: NetworkSpec, before: NetworkSpec | None) -> None:
        with contextlib.ExitStack() as undo:
            if bridges.apply(self._fabric, self._host, spec):
                undo.callback(bridges.remove, self._fabric, self._host, spec.id)
            self._tunnels.apply(spec, before)
            self._provider.apply(spec)
            self._servers.apply(spec)
            undo.pop_all()
        if before is None or before.mtu != spec.mtu:
            for router in self._applied.routers_on(spec.id):
                self._routers.apply(router, router)

    def remove_network(self, network_id: str) -> None:
        """See NetworkDriver."""
        self._do(f"remove network {network_id}", lambda: self._remove_network(network_id))

    def _remove_network(self, network_id: str) -> None:
        self._applied.networks.pop(network_id, None)
        self._servers.remove(network_id)
        self._tunnels.remove(network_id)
        self._provider.remove(network_id)
        bridges.remove(self._fabric, self._host, network_id)

    def entrance(self, network_id: str) -> str | None:
        """See NetworkDriver: it is the namespace of the network's server."""
        name = names.server_namespace(self._fabric.cloud, network_id)
        return netns.path_of(name) if netns.exists(name) else None

    # ------------------------------------------------------------------------------------------------ ports

    def apply_port(self, spec: PortSpec) -> None:
        """See NetworkDriver."""
        checks.check_port(spec)
        self._do(f"apply port {spec.id}", lambda: self._apply_port(spec))

    def _apply_port(self, spec: PortSpec) -> None:
        applied = self._applied
        self._fabric.sweep()
        before = applied.ports.get(spec.id)
        wired = ports.fingerprint(self._fabric, spec)
        same_wire = wired is not None and wired == applied.prints.get(spec.id)
        if before == spec and same_wire:
            return
        applied.ports.pop(spec.id, None)
        statefulness.settle(self._fabric, applied, [spec])
        ports.apply(self._fabric, spec, before if same_wire else None)
        applied.ports[spec.id] = spec
        applied.prints[spec.id] = ports.fingerprint(self._fabric, spec)
        self._wire_subports(spec.id)
        if before is not None:
            connections.end_of_addresses(self._fabric, before.network_id, port_addresses(before) - port_addresses(spec))
            if set(before.security_groups) - set(spec.security_groups) or not before.port_security:
                connections.end_forbidden(self._fabric, applied, [spec])

    def _wire_subports(self, parent_id: str) -> None:
        """The VLANs of a trunk's parent go with its wire, and come back with it."""
        for child in [item for item in self._applied.ports.values() if item.parent == parent_id]:
            if self._applied.prints.get(child.id) != ports.fingerprint(self._fabric, child):
                ports.apply(self._fabric, child, None)
                self._applied.prints[child.id] = ports.fingerprint(self._fabric, child)

    def tap(self, port_id: str) -> Tap:
        """See NetworkDriver."""
        return self._do(f"find the device of port {port_id}", lambda: taps.of(self._fabric, port_id))

    def remove_port(self, port_id: str) -> None:
        """See NetworkDriver."""
        what = f"remove port {port_id}"
        self._do(what, lambda: self._remove_port(port_id))
        # A turn of its own: of ports removed at the same time, the first sweep deletes all.
        self._do(what, self._fabric.sweep)

    def _remove_port(self, port_id: str) -> None:
        before = self._applied.ports.pop(port_id, None)
        self._applied.prints.pop(port_id, None)
        ports.remove(self._fabric, port_id)
        statefulness.forget(self._fabric, self._applied, port_id)
        if before is not None:
            connections.end_of_addresses(self._fabric, before.network_id, port_addresses(before))

    # ------------------------------------------------------------------------------------------------ security groups

    def apply_security_group(self, spec: SecurityGroupSpec) -> None:
        """See NetworkDriver."""
        checks.check_security_group(spec)
        self._do(f"apply security group {spec.id}", lambda: self._apply_group(spec))

    def _apply_group(self, spec: SecurityGroupSpec) -> None:
        applied = self._applied
        before = applied.groups.get(spec.id)
        if before == spec:
            return
        applied.groups.pop(spec.id, None)
        nft = self._fabric.nft
        text = security_groups.apply_text(spec, before, lambda chain: nft.handles(TABLE, chain))
        if text:
            nft.run(text)
        applied.groups[spec.id] = spec
        if before is None or before.stateful != spec.stateful:
            statefulness.settle(self._fabric, applied, applied.ports_of_group(spec.id))
        if connections.shrank(spec, before):
            affected = [*applied.ports_of_group(spec.id), *applied.ports_looking_at(spec.id)]
            connections.end_forbidden(self._fabric, applied, affected)

    def remove_security_group(self, group_id: str) -> None:
        """See NetworkDriver."""
        self._do(f"remove security group {group_id}", lambda: self._remove_group(group_id))

    def _remove_group(self, group_id: str) -> None:
        applied = self._applied
        nft = self._fabric.nft
        nft.run(security_groups.clear_text(group_id))
        for text in security_groups.delete_texts(group_id):
            self._delete_unless_named(text)
        applied.groups[group_id] = SecurityGroupSpec(id=group_id)
        affected = [*applied.ports_of_group(group_id), *applied.ports_looking_at(group_id)]
        connections.end_forbidden(self._fabric, applied, affected)
        applied.groups.pop(group_id)

    def _delete_unless_named(self, text: str) -> None:
        """The kernel itself knows whether a port or rule still names the thing; it is empty, so it may stay."""
        try:
            self._fabric.nft.run(text)
        except NftError as error:
            if "busy" not in str(error).lower():
                raise

    # ------------------------------------------------------------------------------------------------ address groups

    def apply_address_group(self, spec: AddressGroupSpec) -> None:
        """See NetworkDriver. Rules look the addresses up, so they stay as they are."""
        checks.check_address_group(spec)
        self._do(f"apply address group {spec.id}", lambda: self._apply_address_group(spec))

    def _apply_address_group(self, spec: AddressGroupSpec) -> None:
        applied = self._applied
        before = applied.address_groups.get(spec.id)
        if before == spec:
            return
        applied.address_groups.pop(spec.id, None)
        text = address_groups.apply_text(spec, before)
        if text:
            self._fabric.nft.run(text)
        applied.address_groups[spec.id] = spec
        if before is None or set(before.addresses) - set(spec.addresses):
            connections.end_forbidden(self._fabric, applied, applied.ports_admitting(spec.id))

    def remove_address_group(self, group_id: str) -> None:
        """See NetworkDriver."""
        self._do(f"remove address group {group_id}", lambda: self._remove_address_group(group_id))

    def _remove_address_group(self, group_id: str) -> None:
        self._fabric.nft.run(address_groups.clear_text(group_id))
        for text in address_groups.delete_texts(group_id):
            self._delete_unless_named(text)
        applied = self._applied
        applied.address_groups[group_id] = AddressGroupSpec(id=group_id)
        connections.end_forbidden(self._fabric, applied, applied.ports_admitting(group_id))
        applied.address_groups.pop(group_id)

    # ------------------------------------------------------------------------------------------------ routers

    def apply_router(self, spec: RouterSpec) -> None:
        """See NetworkDriver."""
        router_checks.check_router(spec)
        self._do(f"apply router {spec.id}", lambda: self._apply_router(spec))

    def _apply_router(self, spec: RouterSpec) -> None:
        before = self._applied.routers.get(spec.id)
        if before == spec:
            return
        self._applied.routers.pop(spec.id, None)
        self._routers.apply(spec, before)
        self._applied.routers[spec.id] = spec

    def remove_router(self, router_id: str) -> None:
        """See NetworkDriver."""
        self._do(f"remove router {router_id}", lambda: self._remove_router(router_id))

    def _remove_router(self, router_id: str) -> None:
        self._applied.routers.pop(router_id, None)
        self._routers.remove(router_id)

    def answer_metadata(self, handler: MetadataHandler) -> None:
        """See NetworkDriver."""
        self._metadata.handler = handler

    def read_meters(self) -> metering.Meters:
        """See NetworkDriver."""
        return self._do("read the meters", lambda: metering.total(map(self._meters_of, self._applied.routers.values())))

    def _meters_of(self, spec: RouterSpec) -> metering.Meters:
        return metering.read(self._fabric, spec)

    # ------------------------------------------------------------------------------------------------ all

    def observe(self) -> NetworkObservation:
        """See NetworkDriver. What is not whole is forgotten, so that the next apply makes it whole."""
        return self._translated("observe the network", self._observe)

    def _observe(self) -> NetworkObservation:
        if survey.fabric_is_gone(self._fabric):
            self._applied.clear()
            self._fabric.start()
        parts = survey.Parts(
            self._fabric, self._host, self._servers, self._routers, self._tunnels, self._provider, self._applied
        )
        return survey.observe(parts)

    def unapplied(self, specs: Sequence[NetworkPart]) -> frozenset[str]:
        """See NetworkDriver."""
        return self._do(
            "compare what is applied", lambda: frozenset(spec.id for spec in specs if self._applied.lacks(spec))
        )

    def purge(self) -> None:
        """See NetworkDriver. The driver can be started again afterwards."""
        self._translated("remove everything", self._purge)

    def _purge(self) -> None:
        self._fabric.start()
        self._fabric.run(lambda: survey.purge_contents(self._fabric, self._host, self._provider))
        self._applied.clear()
        self._fabric.stop()
        survey.purge_namespaces(self._fabric.cloud)
        survey.purge_files((self._servers.directory, self._routers.directory))
