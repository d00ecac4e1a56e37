"""What this machine offers the network driver: every answer is found by trying, in a namespace that is thrown away."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stackyard.host.errors import HostError
from stackyard.host.network import fast_path, netns
from stackyard.host.network.nft import Nftables


class Feature(msgspec.Struct, frozen=True):
    """One thing that the driver needs or could use. `remedy` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


_MODULE = "load the kernel module {0} (modprobe {0}), or use a kernel that has it"
_PACKAGE = "apt-get install {0}"

_TOOLS = (
    ("dnsmasq", ("--version",), "dnsmasq-base"),
    ("radvd", ("--version",), "radvd"),
    ("nsenter", ("--version",), "util-linux"),
    ("ip", ("-V",), "iproute2"),
    ("nft", ("--version",), "nftables"),
)


def network_features() -> list[Feature]:
    """Everything, in the order in which to mend it. Changes nothing on the host."""
    found = [_tool(name, arguments, package) for name, arguments, package in _TOOLS]
    found.append(_library())
    try:
        found += netns.in_thread(_inside_throwaway)
    except OSError as error:
        found.append(
            Feature("network namespaces", ok=False, detail=str(error), remedy="run as root, with CAP_SYS_ADMIN")
        )
    found.append(_host_forwarding())
    return found


def _tool(name: str, arguments: tuple[str, ...], package: str) -> Feature:
    remedy = _PACKAGE.format(package)
    path = shutil.which(name)
    if path is None:
        return Feature(f"tool {name}", ok=False, detail="not on PATH", remedy=remedy)
    try:
        done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Feature(f"tool {name}", ok=False, detail=str(error), remedy=remedy)
    lines = (done.stdout or done.stderr).decode(errors="replace").strip().splitlines()
    return Feature(f"tool {name}", ok=True, detail=lines[0][:80] if lines else path)


def _library() -> Feature:
    try:
        Nftables().close()
    except HostError as error:
        return Feature("libnftables", ok=False, detail=str(error), remedy=_PACKAGE.format("libnftables1"))
    return Feature("libnftables", ok=True, detail="libnftables.so.1 answers")


def _inside_throwaway() -> list[Feature]:
    """Runs in a thread whose namespace ends with it."""
    from pyroute2 import IPRoute

    netns.unshare()
    found = [Feature("network namespaces", ok=True, detail="can be made")]
    with IPRoute() as ip:
        found += [
            _try("bridge", lambda: ip.link("add", ifname="sybr", kind="bridge"), _MODULE.format("bridge")),
            _try("veth", lambda: ip.link("add", ifname="syv0", kind="veth", peer="syv1"), _MODULE.format("veth")),
            _try(
                "macvlan",
                lambda: ip.link("add", ifname="symv", kind="macvlan", macvlan_mode="passthru", link=_index(ip, "syv0")),
                "flat networks on an interface of the host need it: " + _MODULE.format("macvlan"),
            ),
            _try(
                "vlan",
                lambda: ip.link("add", ifname="syvl", kind="vlan", vlan_id=7, link=_index(ip, "syv1")),
                "VLAN networks on an interface of the host need it: " + _MODULE.format("8021q"),
            ),
            _try(
                "vxlan",
                lambda: ip.link("add", ifname="syvx", kind="vxlan", vxlan_id=7, vxlan_port=4789, vxlan_learning=0),
                "networks that span hosts need it: " + _MODULE.format("vxlan"),
            ),
        ]
        found += [
            _try("802.1Q VLANs", lambda: _vlan(ip), "the subports of trunks need them: " + _MODULE.format("8021q")),
            _try("limits of bandwidth", lambda: _shapers(ip), "QoS policies need them: " + _MODULE.format("sch_tbf")),
        ]
    found.append(_tun())
    found.append(_br_netfilter())
    found += [_nft(name, text, remedy) for name, text, remedy in _NFT_TRIALS]
    found.append(_fast_path())
    found.append(_ipv6())
    return found


def _index(ip: Any, name: str) -> int:
    return int(ip.link_lookup(ifname=name)[0])


def _try(name: str, action: Callable[[], object], remedy: str) -> Feature:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever the kernel says is the answer
        return Feature(name, ok=False, detail=str(error)[:200], remedy=remedy)
    return Feature(name, ok=True, detail="works")


def _vlan(ip: Any) -> None:
    ip.link("add", ifname="syv0.7", kind="vlan", vlan_id=7, link=socket.if_nametoindex("syv0"))


def _shapers(ip: Any) -> None:
    """What traffic_control does to a port whose directions are both limited."""
    index = socket.if_nametoindex("syv0")
    ip.link("add", ifname="syq0", kind="ifb")
    ip.tc("add", "tbf", index, handle=0x10000, rate=125000, burst=20000, limit=40000)
    ip.tc("add", "ingress", index, handle=0xFFFF0000)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": socket.if_nametoindex("syq0")}
    keys = ["0x0/0x0+0"]
    ip.tc("add-filter", "u32", index, parent=0xFFFF0000, prio=1, protocol=3, target=0x10000, keys=keys, action=action)


def _tun() -> Feature:
    if not Path("/dev/net/tun").exists():
        remedy = "machines need it: " + _MODULE.format("tun")
        return Feature("tap devices", ok=False, detail="there is no /dev/net/tun", remedy=remedy)
    return Feature("tap devices", ok=True, detail="can be opened by machines")


def _br_netfilter() -> Feature:
    path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    try:
        path.write_text("1\n")
    except OSError as error:
        return Feature("br_netfilter", ok=False, detail=str(error), remedy=_MODULE.format("br_netfilter"))
    return Feature("br_netfilter", ok=True, detail="bridged packets can be tracked, in one namespace alone")


_NFT_TRIALS = (
    (
        "nftables bridge family",
        (
            "add table bridge t\nadd map bridge t m { type ifname : verdict; }\n"
            "add chain bridge t c { type filter hook forward priority -200; }\n"
            "add rule bridge t c iifname vmap @m\nadd rule bridge t c meta mark 1 accept\n"
        ),
        _MODULE.format("nf_tables"),
    ),
    (
        "connection tracking zones",
        (
            "add table inet t\nadd map inet t z { typeof iifname : ct zone; }\n"
            "add chain inet t c { type filter hook prerouting priority -300; }\n"
            "add rule inet t c ct zone set iifname map @z\nadd rule inet t c ct state established meta mark set 1\n"
        ),
        _MODULE.format("nf_conntrack"),
    ),
    (
        "nftables address translation",
        (
            "add table inet n\nadd map inet n m { type ipv4_addr : ipv4_addr; }\n"
            "add chain inet n p { type nat hook prerouting priority -100; }\n"
            "add rule inet n p dnat ip to ip daddr map @m\n"
            "add chain inet n s { type nat hook postrouting priority 100; }\nadd rule inet n s masquerade\n"
        ),
        _MODULE.format("nft_chain_nat"),
    ),
)


def _nft(name: str, text: str, remedy: str) -> Feature:
    try:
        with contextlib.closing(Nftables()) as nft:
            nft.run(text)
    except HostError as error:
        return Feature(name, ok=False, detail=str(error)[:200], remedy=remedy)
    return Feature(name, ok=True, detail="works")


def _fast_path() -> Feature:
    if fast_path.works():
        return Feature("fast path of TCP", ok=True, detail="established connections pass at the door")
    remedy = (
        "every packet goes through the bridge's filter, which costs TCP some 5 to 10 %: use a kernel of 5.16 or newer "
        "with NFT_FWD_NETDEV (module nft_fwd_netdev) and NETFILTER_EGRESS, and nftables 1.0.6"
    )
    return Feature("fast path of TCP", ok=False, detail="kernel or nft refuse it", remedy=remedy)


def _ipv6() -> Feature:
    if not Path("/proc/sys/net/ipv6").is_dir():
        remedy = "IPv6 subnets will not work; boot without ipv6.disable=1"
        return Feature("IPv6", ok=False, detail="the kernel has none", remedy=remedy)
    return Feature("IPv6", ok=True, detail="available")


def _host_forwarding() -> Feature:
    try:
        on = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    except OSError as error:
        return Feature("IPv4 forwarding", ok=False, detail=str(error), remedy="mount /proc")
    detail = "on" if on else "off; switched on with the first external network"
    return Feature("IPv4 forwarding", ok=True, detail=detail)
