"""What compute does once: when a cloud is put together, and when its process starts."""

from __future__ import annotations

from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.compute import hosts
from stackyard.services.compute.guests.metadata import ServerMetadata
from stackyard.services.compute.volumes import ending


def set_up(runtime: Runtime) -> None:
    """Speak for servers where guests ask for metadata, and where volumes tell what happens to them."""
    runtime[keys.METADATA].tell("compute:", ServerMetadata(runtime))
    runtime.provide(keys.VOLUME_EVENTS, ending.tell)


def start(runtime: Runtime) -> None:
    """Say that this host is there, and what it has; before anything is reconciled."""
    hosts.report(runtime)
