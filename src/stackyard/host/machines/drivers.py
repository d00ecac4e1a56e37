"""This host's drivers of servers, by kind of server, and why a kind has none."""

from __future__ import annotations

from pathlib import Path

from stackyard.core.config import Settings
from stackyard.host.containers import ContainerEngine
from stackyard.host.machines import MachineDriver, Machines
from stackyard.host.machines.engine.driver import PART, PREFIX, EngineMachines
from stackyard.host.machines.qemu import emulator
from stackyard.host.machines.qemu.driver import QemuMachines
from stackyard.host.network import NetworkDriver

DIRECTORY = "machines"
"""In the state directory."""

NOTES = f"{DIRECTORY}/_emulator"
"""There too: what is known of QEMU already."""


def machine_drivers(
    state_dir: Path, cloud_id: str, settings: Settings, network: NetworkDriver, engine: ContainerEngine
) -> Machines:
    """Those that can run here; nothing is started yet."""
    del cloud_id, settings
    containers = EngineMachines(state_dir / DIRECTORY / "_containers", engine.apart(PART, PREFIX))
    made: dict[str, MachineDriver] = {"container": containers, "system": containers}
    found = emulator.find(state_dir / NOTES)
    if isinstance(found, emulator.Emulator):
        made["machine"] = QemuMachines(state_dir / DIRECTORY, found, network)
    return made


def machines_in(state_dir: Path) -> set[str]:
    """The ids of the virtual machines whose files a state directory has."""
    directory = state_dir / DIRECTORY
    entries = directory.iterdir() if directory.is_dir() else ()
    return {entry.name for entry in entries if entry.name[0] not in "._"}


def missing_kinds(state_dir: Path) -> dict[str, str]:
    """The kinds of servers that cannot run here, and what each lacks."""
    found = emulator.find(state_dir / NOTES)
    return {"machine": found} if isinstance(found, str) else {}


def remove_machines(state_dir: Path, network: NetworkDriver) -> None:
    """End and delete every virtual machine of the cloud; its containers go with their engine's."""
    found = emulator.find()
    if isinstance(found, emulator.Emulator):
        QemuMachines(state_dir / DIRECTORY, found, network).purge()
