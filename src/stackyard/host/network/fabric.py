"""The fabric: one namespace a cloud with all its bridges and filters, and the one thread that works in it.

The host's own stack, and Docker's rules in it, never see tenants' frames. All work of the driver runs in the fabric's
thread, one thing after another, which is what makes the driver safe to call from any thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from stackyard.host.errors import HostError
from stackyard.host.network import fast_path, names, netns
from stackyard.host.network import filter as rules
from stackyard.host.network.conntrack import Connection, end_connections
from stackyard.host.network.names import Alias, parse_alias
from stackyard.host.network.nft import Chain, Listing, Nftables, NftError

_T = TypeVar("_T")
_IFF_UP = 1
_LAST_ZONE = 65535


@dataclass(frozen=True)
class Link:
    """A device of the fabric. `namespace` is the kernel's number for its other end's namespace, -1 for the same.

    `kind` is what the kernel calls it (veth, tun, vlan), `qdisc` what queues what leaves by it.
    """

    name: str
    index: int
    alias: Alias | None
    master: int
    up: bool
    mtu: int
    peer: int
    namespace: int
    kind: str = ""
    qdisc: str = ""
    vlan_id: int | None = None


def _link(message: Any) -> Link:
    namespace = message.get_attr("IFLA_LINK_NETNSID")
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else ""
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        index=message["index"],
        alias=parse_alias(message.get_attr("IFLA_IFALIAS")),
        master=message.get_attr("IFLA_MASTER") or 0,
        up=bool(message["flags"] & _IFF_UP),
        mtu=message.get_attr("IFLA_MTU") or 0,
        peer=message.get_attr("IFLA_LINK") or 0,
        namespace=-1 if namespace is None else namespace,
        kind=kind or "",
        qdisc=message.get_attr("IFLA_QDISC") or "",
        vlan_id=info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_VLAN_ID") if kind == "vlan" else None,
    )


@dataclass(frozen=True)
class Pair:
    """A veth pair to be made: `outer` in the fabric, up at once if told so, `inner` in the namespace `descriptor`."""

    outer: str
    inner: str
    descriptor: int
    mac: str
    mtu: int
    alias: Alias
    up: bool = False


class Fabric:
    """The namespace and what is in it. All methods but `start`, `stop` and `run` are for the fabric's own thread.

    `fast` tells whether there is the fast path; then every change by `nft` also ends what it remembers.
    """

    def __init__(self, cloud: str, host_namespace: str = "") -> None:
        self.cloud = names.check_cloud(cloud)
        self._host_namespace = host_namespace or f"/proc/{os.getpid()}/ns/net"
        self.namespace = names.fabric_namespace(cloud)
        self.zones: dict[str, int] = {}
        self.ip: Any = None
        self.fast = False
        self._nft: Nftables | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._doomed = False

    @property
    def nft(self) -> Nftables:
        """nftables of the fabric."""
        if self._nft is None:
            raise HostError("the network driver has not been started")
        return self._nft

    def start(self) -> None:
        """Make the namespace when it is missing, and the tables; take over what an earlier run left."""
        with self._guard:
            if self._executor is None or not netns.exists(self.namespace):
                self._abandon()
                netns.create(self.namespace)
                self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fabric")
                try:
                    self._executor.submit(self._enter).result()
                except BaseException:
                    self._shut()
                    raise
        self.run(self.restore_base)

    def stop(self) -> None:
        """End the thread; everything in the kernel stays."""
        with self._guard:
            self._shut()

    def run(self, function: Callable[[], _T]) -> _T:
        """Run in the fabric's thread and wait for it."""
        if threading.current_thread() is self._thread:
            return function()
        executor = self._executor
        if executor is None:
            raise HostError("the network driver has not been started")
        return executor.submit(function).result()

    def _enter(self) -> None:
        from pyroute2 import IPRoute

        descriptor = netns.open_namespace(netns.path_of(self.namespace))
        try:
            netns.join(descriptor)
        finally:
            os.close(descriptor)
        self._thread = threading.current_thread()
        self.ip = IPRoute()
        self.fast = fast_path.works()
        self._nft = Nftables(after=fast_path.base_text() if self.fast else "")
        try:
            self._nft.run("")
        except NftError:
            self._nft.run(fast_path.reset_text())

    def _abandon(self) -> None:
        """Leave a namespace that has lost its name, without leaving devices whose names the next one needs."""
        if self._executor is not None:
            self._executor.submit(self.delete_all).result()
        self._shut()

    def delete_all(self) -> None:
        """Delete every device of ours in the fabric, with its other end, at once."""
        if any(link.alias for link in self.links().values()):
            self.ip.link("del", group=names.LINK_GROUP)

    def _shut(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.submit(self._leave).result()
            executor.shutdown()
        self._thread = None

    def _leave(self) -> None:
        if self.ip is not None:
            self.ip.close()
        if self._nft is not None:
            self._nft.close()
        self.ip = self._nft = None

    def restore_base(self) -> None:
        """Settings, base chains and zones, as after a first start."""
        for key in ("iptables", "ip6tables"):
            netns.write_sysctl(f"bridge/bridge-nf-call-{key}", 1)
        netns.write_sysctl("bridge/bridge-nf-call-arptables", 0)
        netns.write_sysctl("ipv4/ip_forward", 0)
        self.ip.link("set", index=1, state="up")
        self._doomed = True
        self.sweep()
        self.nft.run(rules.base_text())
        # A connection that was cut must not be taken up again in the middle, from its other end. (A kernel that loads
        # connection tracking as a module has these settings from its first rule on.)
        netns.write_sysctl("netfilter/nf_conntrack_tcp_loose", 0)
        if self.fast:
            fast_path.trust_what_is_not_seen()
        self.zones = {
            link.alias.id: int(link.alias.extra)
            for link in self.links().values()
            if link.alias and link.alias.kind == "network" and link.alias.extra.isdigit()
        }
        self.restore_zones()

    def restore_zones(self) -> None:
        """Put every bridge's zone into the map again."""
        for network_id, zone in self.zones.items():
            self.nft.run(f'add element {rules.TRACKING} zones {{ "{names.bridge(network_id)}" : {zone} }}\n')

    def fast_text(self, device: str, chains: tuple[Chain, ...] = ()) -> str:
        """What has the device, which must be there for that, have these chains of the fast path, or none any more."""
        return fast_path.text(device, chains) if self.fast else ""

    def is_fast(self, listing: Listing, chains: Iterable[Chain]) -> bool:
        """Whether these chains of the fast path are in force, where there is one."""
        return not self.fast or all(map(listing.holds, chains))

    def forget_flows(self) -> None:
        """Have the fast path know of no connection, nor learn of one from a packet that is under way just now."""
        if self.fast:
            fast_path.await_packets()
            self.nft.run("")

    def end_connections(self, chosen: Callable[[Connection], bool], zone: int | None = None) -> int:
        """End the tracked connections for which `chosen` is true (of a zone), at once; says how many."""
        ended = end_connections(chosen, zone)
        if ended:
            self.forget_flows()
        return ended

    # ------------------------------------------------------------------------------------------------ links

    def index(self, name: str) -> int | None:
        """Index of a device of the fabric, None when there is none."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            return None

    def link(self, name: str) -> Link | None:
        """A device of the fabric by name."""
        index = self.index(name)
        if index is None:
            return None
        return _link(self.ip.link("get", index=index)[0])

    def links(self) -> dict[str, Link]:
        """Every device of the fabric, by name."""
        return {link.name: link for link in map(_link, self.ip.get_links())}

    def make_pair(self, pair: Pair, undo: contextlib.ExitStack) -> Link:
        """Make a veth pair and join it to its network's bridge when that is there. Its other end is not looked at."""
        peer = {"ifname": pair.inner, "net_ns_fd": pair.descriptor, "address": pair.mac, "mtu": pair.mtu}
        try:
            self.ip.link("add", ifname=pair.outer, kind="veth", mtu=pair.mtu, peer=peer)
        except Exception as error:
            if getattr(error, "code", None) == errno.EEXIST:
                raise HostError(f"a device {pair.inner} is already there and was not made by Stackyard") from error
            raise
        undo.callback(self.delete_link, pair.outer)
        index = socket.if_nametoindex(pair.outer)
        master = self.label(index, pair.alias, up=pair.up)
        # What is known is not asked of the kernel again: each question costs a millisecond.
        return Link(pair.outer, index, pair.alias, master, pair.up, pair.mtu, peer=0, namespace=-1, kind="veth")

    def label(self, index: int, alias: Alias, *, up: bool = False) -> int:
        """Write a device's alias and group, and join it to its network's bridge when that is there: says which.

        With `up` it is brought up as well; otherwise it stays as it is.
        """
        master = self.index(names.bridge(alias.network_id)) or 0
        state = {"state": "up"} if up else {}
        self.ip.link("set", index=index, ifalias=str(alias), group=names.LINK_GROUP, master=master, **state)
        return master

    def settle(self, link: Link, alias: Alias, *, up: bool) -> None:
        """Repair what a device of ours may have lost: alias, bridge, state."""
        master = self.index(names.bridge(alias.network_id)) or 0
        if link.alias != alias or link.master != master:
            self.label(link.index, alias)
        if link.up != up:
            self.ip.link("set", index=link.index, state="up" if up else "down")

    def labelled(self, name: str, alias: Alias) -> Link:
        """Label a device that was made just now; HostError when it is gone already."""
        index = self.index(name)
        if index is not None:
            self.label(index, alias)
        link = self.link(name)
        if link is None:
            raise HostError(f"{name} vanished while it was being made")
        return link

    def delete_link(self, name: str) -> None:
        """Delete a device of the fabric and its other end; gone is fine."""
        index = self.index(name)
        if index is None:
            return
        try:
            self.ip.link("del", index=index)
        except Exception as error:
            if getattr(error, "code", None) != errno.ENODEV:
                raise

    def doom(self, name: str) -> None:
        """Mark a device to be deleted by the next `sweep`; gone is fine: the other end's namespace may end just now."""
        index = self.index(name)
        if index is None:
            return
        try:
            self.ip.link("set", index=index, group=names.DOOMED_GROUP)
        except Exception as error:
            if getattr(error, "code", None) != errno.ENODEV:
                raise
        else:
            self._doomed = True

    def sweep(self) -> None:
        """Delete all doomed devices with their other ends, at once."""
        if not self._doomed:
            return
        self._doomed = False
        try:
            self.ip.link("del", group=names.DOOMED_GROUP)
        except Exception as error:
            if getattr(error, "code", None) != errno.ENODEV:
                self._doomed = True
                raise

    @contextlib.contextmanager
    def inside(self, descriptor: int) -> Iterator[Any]:
        """Work in another namespace; yields its rtnetlink socket."""
        from pyroute2 import IPRoute

        with netns.inside(descriptor), IPRoute() as ip:
            yield ip

    # ------------------------------------------------------------------------------------------------ the host

    def open_host(self) -> int:
        """A descriptor of the host's own namespace: the one that this process was started in."""
        return netns.open_namespace(self._host_namespace)

    @contextlib.contextmanager
    def on_host(self) -> Iterator[Any]:
        """Work in the host's namespace; yields its rtnetlink socket."""
        descriptor = self.open_host()
        try:
            with self.inside(descriptor) as ip:
                yield ip
        finally:
            os.close(descriptor)

    def host_number(self) -> int:
        """The fabric's number for the host's namespace, -1 when nothing of the fabric leads there."""
        descriptor = self.open_host()
        try:
            answer = self.ip.get_netnsid(fd=descriptor)
        finally:
            os.close(descriptor)
        return int(answer["nsid"] if isinstance(answer, dict) else answer)

    # ------------------------------------------------------------------------------------------------ zones

    def take_zone(self, network_id: str) -> int:
        """The conntrack zone of a network, a free one when it has none; free of connections of an earlier owner."""
        zone = self.zones.get(network_id)
        if zone is None:
            used = set(self.zones.values())
            zone = next((number for number in range(1, _LAST_ZONE) if number not in used), 0)
            if not zone:
                raise HostError(f"all {_LAST_ZONE - 1} connection tracking zones are in use: remove networks")
            self.end_connections(lambda _: True, zone)
            self.zones[network_id] = zone
        return zone

    def release_zone(self, network_id: str) -> None:
        """Give the zone back, with its connections."""
        zone = self.zones.pop(network_id, None)
        if zone is not None:
            self.end_connections(lambda _: True, zone)
