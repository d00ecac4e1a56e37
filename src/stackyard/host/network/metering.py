"""What the metering labels of routers have counted, read from the kernel."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable

from stackyard.host.network import names, netns, router_limits, router_rules
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.nft import Nftables
from stackyard.host.specs import RouterSpec

Meters = dict[str, tuple[int, int]]
"""Packets and bytes by label."""


def read(fabric: Fabric, spec: RouterSpec) -> Meters:
    """The counters of one router; none when its namespace is gone. Runs in the fabric's thread."""
    namespace = names.router_namespace(fabric.cloud, spec.id)
    if not spec.metering or not netns.exists(namespace):
        return {}
    descriptor = netns.open_namespace(netns.path_of(namespace))
    try:
        with netns.inside(descriptor), contextlib.closing(Nftables()) as nft:
            return parse(nft.ask(f"list counters table {router_rules.TABLE}"))
    finally:
        os.close(descriptor)


def parse(document: str) -> Meters:
    """Read `nft -j list counters`; counters that are no label's are passed over."""
    found = {}
    for entry in json.loads(document or '{"nftables": []}')["nftables"]:
        label = router_limits.label_of(entry["counter"]["name"]) if "counter" in entry else None
        if label:
            found[label] = (int(entry["counter"]["packets"]), int(entry["counter"]["bytes"]))
    return found


def total(each: Iterable[Meters]) -> Meters:
    """The sum over routers: a label may be counted on several."""
    found: Meters = {}
    for meters in each:
        for label, (packets, size) in meters.items():
            before = found.get(label, (0, 0))
            found[label] = (before[0] + packets, before[1] + size)
    return found
