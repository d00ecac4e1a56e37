"""What a router counts (metering labels) and holds back (quality of service), as nftables text. Pure.

Limits are by dropping what is too much, in the router itself: what the tenant sends and gets is one connection there,
whatever device carries it. The kernel lets a second's worth pass at once, and what is given as burst besides. A packet
may be 64 KiB long here (it is cut up later), so no burst is less than two of those.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from stackyard.host.network import checks, names
from stackyard.host.network.nft import Chain
from stackyard.host.specs import MeteringRule, Qos, RouterSpec

_LIMITS_HOOK = "{ type filter hook forward priority 20; policy accept; }"
_METERS_HOOK = "{ type filter hook forward priority 30; policy accept; }"
_COUNTER_PREFIX = "meter_"
_BITS = 1000 // 8
"""Bytes in a kilobit."""
_LEAST_BURST = 1 << 17


def counter(label_id: str) -> str:
    """Name of a metering label's counter."""
    return _COUNTER_PREFIX + names.check_id(label_id)


def label_of(counter_name: str) -> str | None:
    """The label whose counter has that name."""
    return counter_name.removeprefix(_COUNTER_PREFIX) if counter_name.startswith(_COUNTER_PREFIX) else None


def counters(spec: RouterSpec) -> list[str]:
    """Counters of all labels."""
    return [counter(label.id) for label in spec.metering]


def chains(spec: RouterSpec) -> tuple[Chain, ...]:
    """Limits, then meters, so that what is dropped is not counted; none of what is not asked for."""
    if not spec.gateways:
        return ()
    limits, found = tuple(_limits(spec)), []
    if limits:
        found.append(Chain("limits", limits, _LIMITS_HOOK))
    labels = [(f"m_{names.short(label.id)}", label) for label in spec.metering]
    found += [Chain(name, tuple(_meter(spec, label.rules, counter(label.id)))) for name, label in labels]
    if labels:
        found.append(Chain("meters", tuple(f"jump {name}" for name, _ in labels), _METERS_HOOK))
    return tuple(found)


def _gateways(spec: RouterSpec) -> str:
    return "{ " + ", ".join(f'"{names.inner_gateway(item.port_id)}"' for item in spec.gateways) + " }"


def _limits(spec: RouterSpec) -> Iterator[str]:
    for item in spec.floating_ips:
        if item.qos:
            fixed = ipaddress.ip_address(item.fixed_ip)
            outward = f"oifname {_gateways(spec)} ip saddr {fixed}"
            yield from _limited(item.qos, outward, f"iifname {_gateways(spec)} ip daddr {fixed}")
    for gateway in spec.gateways:
        if gateway.qos:
            device = f'"{names.inner_gateway(gateway.port_id)}"'
            for found in (checks.address(address.ip) for address in gateway.addresses):
                # What is hidden behind the address has it as the destination of its answers.
                hidden = f"ct reply {'ip' if found.version == 4 else 'ip6'} daddr {found}"
                yield from _limited(gateway.qos, f"oifname {device} {hidden}", f"iifname {device} {hidden}")


def _limited(qos: Qos, outward: str, inward: str) -> Iterator[str]:
    matches = {"egress": outward, "ingress": inward}
    for rate in qos.bandwidth:
        size = rate.max_kbps * _BITS
        extra = max(rate.max_burst_kbps * _BITS, _LEAST_BURST) - size
        burst = f" burst {extra} bytes" if extra > 0 else ""
        yield f"{matches[rate.direction]} limit rate over {size} bytes/second{burst} drop"
    for packets in qos.packet_rate:
        size = packets.max_burst_kpps * 1000 or max(packets.max_kpps * 100, 5)
        yield f"{matches[packets.direction]} limit rate over {packets.max_kpps * 1000}/second burst {size} packets drop"
    if qos.dscp is not None:
        family = "ip6" if "ip6" in outward else "ip"
        yield f"{outward} {family} dscp set {qos.dscp}"


def _meter(spec: RouterSpec, rules: tuple[MeteringRule, ...], name: str) -> Iterator[str]:
    """What is left out comes first; of the rest each packet counts once."""
    for rule in sorted(rules, key=lambda item: not item.excluded):
        inward = rule.direction == "ingress"
        words = [f"{'iifname' if inward else 'oifname'} {_gateways(spec)}"]
        ends = {"saddr": rule.source_cidr, "daddr": rule.destination_cidr}
        if rule.remote_cidr:
            # As Neutron has it: the tenant's end of what is counted.
            ends["daddr" if inward else "saddr"] = rule.remote_cidr
        for side, text in ends.items():
            if text and (cidr := checks.network(text)).prefixlen:
                words.append(f"{'ip' if cidr.version == 4 else 'ip6'} {side} {cidr}")
        words.append("return" if rule.excluded else f"counter name {name} return")
        yield " ".join(words)
