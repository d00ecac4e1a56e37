"""What compute does once, when a cloud's process starts, before anything is reconciled."""

from __future__ import annotations

from stackyard.core.runtime import Runtime
from stackyard.services.compute import hosts


def start(runtime: Runtime) -> None:
    """Say that this host is there, and what it has."""
    hosts.report(runtime)
