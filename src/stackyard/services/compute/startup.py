"""What compute does once: when a cloud is put together, and when its process starts."""

from __future__ import annotations

from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.compute import hosts, volume_holders
from stackyard.services.compute.guests.metadata import ServerMetadata
from stackyard.services.compute.peers import PEERS
from stackyard.services.compute.volumes import ending


def set_up(runtime: Runtime) -> None:
    """Speak for servers where guests ask for metadata, and where volumes tell what happens to them."""
    runtime[keys.METADATA].tell("compute:", ServerMetadata(runtime))
    runtime.provide(keys.VOLUME_EVENTS, ending.tell)
    runtime.provide(keys.VOLUME_HOLDERS, volume_holders.has)


def start(runtime: Runtime) -> None:
    """Say that this host is there, what it has, and where others reach it; before anything is reconciled."""
    runtime[PEERS].start()
    hosts.report(runtime, reach(runtime))


def reach(runtime: Runtime) -> hosts.Reach:
    """Where other hosts reach this one."""
    peers = runtime[PEERS]
    return hosts.Reach(peers.port, peers.digest)
