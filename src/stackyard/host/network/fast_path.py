"""The fast path: packets of established TCP connections go from device to device before bridge and filter see them.

What an established packet passes costs more than carrying it, so its way is remembered: a packet that the filter's
quick way has let pass, writes where it leaves into the map `flows`, and what comes by the same device with the same
addresses and ports is forwarded there at once. The key begins with the device it came by (the filter's mark carries
its number), so that nobody gets into another's connection; source MACs are compared, since an entry has none.

An entry lives for two seconds, is not renewed, and all go with every change of the filter: each packet that misses
goes the whole way, and so connection tracking, the bridge's table and the rules are asked again and again. SYN, FIN
and RST always go the whole way. Only IPv4 is remembered: nft 1.0.6 ends the process for keys of more than 16 bytes.

Text and readings of text but for `works` and `await_packets`. Of a port that must see each of its packets (no port
security, DSCP marks, packet rates, MACs of allowed pairs) nothing is forwarded, and of VLANs on its wire neither.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Collection
from pathlib import Path

from stackyard.host.network import checks, names, netns
from stackyard.host.network.nft import Chain, Listing
from stackyard.host.specs import PortSpec

TABLE = "netdev stackyard"
REMEMBER = 8
"""Bit of the mark: the filter has let the packet pass because its connection is established, and asks no more."""

_LAST_DEVICE = 2**24 - 1
_KEY = "meta mark . ip saddr . ip daddr . @th,0,32"
_DEVICE_ONLY = "meta mark set meta mark & 0xffffff00"
_OTHERS = "@ll,96,16 != 0x0800 meta mark set 0 accept"
"""All but untagged IPv4 stays nobody's, also on a VLAN device above, where it has lost its tag. The type is read where
a tag would stand, by a rule of its own: nft joins it with a MAC's, and kernels before 6.7 then look behind the tag."""

_TCP = "meta protocol ip ip protocol tcp ip frag-off & 0x3fff == 0"
_PLAIN = f"{_TCP} tcp flags & (fin | syn | rst | ack) == ack"


def base_text(table: str = TABLE) -> str:
    """The table and its map, empty; harmless to apply again, and cheap: it ends every transaction."""
    return (
        f"add table {table}\n"
        f"add map {table} flows {{ typeof {_KEY} : meta oif; flags dynamic,timeout; size 65536; timeout 2s; }}\n"
        f"flush map {table} flows\n"
    )


def reset_text() -> str:
    """Take away a table that somebody, or another version, made otherwise. Devices get chains with the next apply."""
    return f"add table {TABLE}\ndelete table {TABLE}\n"


def _hook(direction: str, device: str) -> str:
    return f'{{ type filter hook {direction} device "{device}" priority 0; policy accept; }}'


def _chains(device: str, index: int, *, source: str | None, targets: Collection[str]) -> tuple[Chain, Chain]:
    """What a device remembers. `source` is what its packets may skip the filter with: a MAC, "" for any, None: never.

    `targets` are the MACs that are behind it: what is flooded to it, for nobody knows where it belongs, is not for it.
    """
    if index > _LAST_DEVICE:
        source = None
    entering = ["meta mark set 0"]
    if source is not None:
        sender = f" @ll,48,48 {_number(source)}" if source else ""
        entering = [
            _OTHERS,
            f"meta mark set 0x{index << 8:08x}",
            f"{_PLAIN}{sender} fwd to {_KEY} map @flows",
            # A connection that begins anew with the ports of an old one: tracking has to see its handshake.
            f"{_TCP} tcp flags & syn == syn delete @flows {{ {_KEY} : meta iif }}",
        ]
    leaving = ["meta mark set 0"]
    if targets:
        known = ", ".join(map(_number, sorted(targets)))
        leaving.insert(
            0,
            f"meta mark & {REMEMBER} == {REMEMBER} meta mark > 255 @ll,96,16 0x0800 {_PLAIN} @ll,0,48 {{ {known} }} "
            f"{_DEVICE_ONLY} add @flows {{ {_KEY} : meta oif }}",
        )
    return (
        Chain(f"in_{device}", tuple(entering), _hook("ingress", device)),
        Chain(f"out_{device}", tuple(leaving), _hook("egress", device)),
    )


def _number(mac: str) -> str:
    return f"0x{checks.mac(mac).replace(':', '')}"


def may_skip(spec: PortSpec) -> bool:
    """Whether what the port sends may pass without its own rules, once they have let the connection pass."""
    own = checks.mac(spec.mac)
    limited = spec.qos is not None and (
        spec.qos.dscp is not None or any(item.direction == "egress" for item in spec.qos.packet_rate)
    )
    one_mac = all(pair.mac is None or checks.mac(pair.mac) == own for pair in spec.allowed_pairs)
    return spec.port_security and one_mac and not limited


def port_chains(spec: PortSpec, index: int) -> tuple[Chain, ...]:
    """The chains of a port's device; a trunk's subport has none."""
    if spec.kind == "vlan":
        return ()
    source = checks.mac(spec.mac) if may_skip(spec) else None
    return _chains(names.port(spec.id), index, source=source, targets=(spec.mac,))


def tunnel_chains(device: str, index: int, macs: Collection[str]) -> tuple[Chain, ...]:
    """The chains of a tunnel to other hosts, which have looked at who sends; `macs` are there."""
    return _chains(device, index, source="", targets=macs)


def uplink_chains(device: str, index: int) -> tuple[Chain, ...]:
    """The chains of a physical network's device: who is there is not known, so what leaves is not remembered."""
    return _chains(device, index, source="", targets=())


def text(device: str, chains: tuple[Chain, ...]) -> str:
    """Have the device, which must be there, have these chains or none."""
    return "".join(chain.text(TABLE) for chain in chains) or remove_text(device)


def remove_text(device: str) -> str:
    """Take a device's chains away, whether they, or it, are there or not."""
    found = (f"chain {TABLE} {way}_{device}\n" for way in ("in", "out"))
    return "".join(f"add {chain}flush {chain}delete {chain}" for chain in found)


_BLOCK = re.compile(r"\t(?:chain|map) (\S+) \{")
_RULE = re.compile(r"\t\t(?!type |policy |typeof |size |flags |timeout |elements )\S")
_COMMENT = re.compile(r'comment "([^"]*)"')


def parse(listing: str) -> Listing:
    """Read `nft --terse list table`: this version's JSON leaves out what is done with maps, and says so on stderr."""
    chains: dict[str, list[str]] = {}
    current: list[str] = []
    for line in listing.splitlines():
        if block := _BLOCK.match(line):
            current = chains.setdefault(block[1], [])
        elif _RULE.match(line):
            current.append("")
        if current and (comment := _COMMENT.search(line)):
            current[-1] = comment[1]
    return Listing({name: tuple(comments) for name, comments in chains.items()})


def trust_what_is_not_seen() -> None:
    """Tell connection tracking, of the namespace this thread is in, that it sees few of a connection's packets.

    It must neither find the others impossible nor think that data were never acknowledged, and forget a connection
    that is only silent.
    """
    for key in ("be_liberal", "ignore_invalid_rst"):
        netns.write_sysctl(f"netfilter/nf_conntrack_tcp_{key}", 1)
    lasting = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established")
    if lasting.exists():
        for key in ("unacknowledged", "max_retrans"):
            netns.write_sysctl(f"netfilter/nf_conntrack_tcp_timeout_{key}", int(lasting.read_text()))


def works() -> bool:
    """Whether kernel and nft of this machine can do it; tried in the namespace that the thread is in.

    By a process of its own: some versions of nft end theirs where they meet what they do not expect.
    """
    table = f"{TABLE}_trial"
    mac = "02:00:00:00:00:01"
    chains = "".join(chain.text(table) for chain in _chains("lo", 1, source=mac, targets=(mac, f"{mac[:-1]}2")))
    trial = f"{base_text(table)}{chains}delete table {table}\n"
    try:
        done = subprocess.run(["nft", "-f", "-"], input=trial.encode(), capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def await_packets() -> None:
    """Wait until every packet that is under way in the kernel at this moment has arrived (some 10 ms).

    The kernel does so before it lets a packet socket go, for any of them might still be given to it.
    """
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
