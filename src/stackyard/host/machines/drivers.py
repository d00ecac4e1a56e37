"""This host's drivers of servers, by kind of server."""

from __future__ import annotations

from pathlib import Path

from stackyard.core.config import Settings
from stackyard.host.containers import ContainerEngine
from stackyard.host.machines import MachineDriver, Machines
from stackyard.host.network import NetworkDriver


def machine_drivers(
    state_dir: Path, cloud_id: str, settings: Settings, network: NetworkDriver, engine: ContainerEngine
) -> Machines:
    """Those that can run here; nothing is started yet."""
    del state_dir, cloud_id, settings, network, engine
    found: dict[str, MachineDriver] = {}
    return found
