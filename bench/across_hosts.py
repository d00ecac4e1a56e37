"""Throughput between two hosts: a network of ours against a VXLAN made by hand between the same namespaces.

`python -m bench.across_hosts [ROUNDS]` as root prints the medians. Each host is a network namespace; both are joined by
a bridge, and both ways have the same MTU, one VXLAN device and one bridge a host.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.dataplane.lab import Endpoint, Place, subnet
from tests.dataplane.two_hosts import Spanning, Underlay

from bench.throughput import compared

_OURS, _BY_HAND = 7101, 7102
_SECONDS = 2


def across_hosts(directory: Path, *, rounds: int, seconds: int = _SECONDS) -> tuple[float, float]:
    """Medians in Gbit/s of one TCP stream in turns: ours, by hand."""
    underlay = Underlay(directory)
    try:
        hosts = [underlay.host(), underlay.host()]
        network = Spanning(hosts, _OURS, (subnet("10.1.0.0/24"),))
        network.apply()
        ours = [network.attach(host, f"10.1.0.{5 + number}") for number, host in enumerate(hosts)]
        theirs = [
            _by_hand(underlay, host.place, number, hosts[1 - number].address) for number, host in enumerate(hosts)
        ]
        ends = (
            (_enter(ours[0]), _enter(ours[1]), ours[0].address),
            (_enter(theirs[0]), _enter(theirs[1]), "10.2.0.5"),
        )
        return compared(ends, rounds=rounds, seconds=seconds)
    finally:
        underlay.close()


def _by_hand(underlay: Underlay, host: Place, number: int, peer: str) -> Place:
    """A namespace on a bridge with a VXLAN device in the host's own namespace, as a tutorial makes it."""
    end = underlay.namespace(f"c{number}")
    for words in (
        f"ip link add by-hand type vxlan id {_BY_HAND} dstport 4789 local 192.0.2.{number + 1} nolearning",
        "ip link add tutorial type bridge",
        "ip link set by-hand mtu 1450 master tutorial up",
        f"bridge fdb append 00:00:00:00:00:00 dev by-hand dst {peer}",
        f"ip link add c{number} mtu 1450 type veth peer name eth0 netns {Path(end.path).name}",
        f"ip link set c{number} master tutorial up",
        "ip link set tutorial up",
    ):
        underlay.command(*words.split(), at=host)
    for words in ("ip link set lo up", f"ip addr add 10.2.0.{5 + number}/24 dev eth0", "ip link set eth0 mtu 1450 up"):
        underlay.command(*words.split(), at=end)
    return end


def _enter(end: Place | Endpoint) -> list[str]:
    return ["nsenter", f"--net={end.path}", "--"]


def main(rounds: int) -> None:
    """Print the two medians and their ratio."""
    with tempfile.TemporaryDirectory(prefix="stackyard-bench-") as directory:
        ours, by_hand = across_hosts(Path(directory), rounds=rounds)
    sys.stdout.write(f"ours {ours:.2f} Gbit/s, by hand {by_hand:.2f} Gbit/s, ratio {ours / by_hand:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
