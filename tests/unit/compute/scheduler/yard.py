"""Hosts and requests for tests of the scheduler, with short ways to say them."""

from __future__ import annotations

from typing import Any

from stackyard.services.compute.scheduler.hosts import HostState, Snapshot, Stock
from stackyard.services.compute.scheduler.request import DISK, MEMORY, VCPU, Circumstances, Request


def host(name: str, *, vcpus: int = 16, memory: int = 16384, disk: int = 100, **more: Any) -> HostState:
    """A host with nothing on it."""
    stock = {VCPU: Stock(vcpus), MEMORY: Stock(memory), DISK: Stock(disk)}
    return HostState(name=name, provider=f"provider-of-{name}", zone=more.pop("zone", "nova"), stock=stock, **more)


def request(**more: Any) -> Request:
    """A small server."""
    given: dict[str, Any] = {"vcpus": 1, "memory": 512, "disk": 1, "project_id": "p", "user_id": "u"}
    return Request(**given | more)


def circumstances(**more: Any) -> Circumstances:
    """Nothing particular."""
    return Circumstances(**more)


def snapshot(*hosts: HostState) -> Snapshot:
    """These hosts."""
    return Snapshot(hosts)
