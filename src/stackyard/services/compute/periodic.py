"""What compute does again and again, on every host."""

from __future__ import annotations

from collections.abc import Callable

from stackyard.core.runtime import Runtime
from stackyard.services.compute import hosts, startup


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """(name, seconds, function)."""
    return [("compute-heartbeat", hosts.HEARTBEAT_SECONDS, lambda: hosts.report(runtime, startup.reach(runtime)))]
