"""Running servers: the Protocol that every machine driver implements.

Read `MachineDriver` first; `qemu/` runs virtual machines, `engine/` application and system containers by a container
engine, `memory.py` is the in-memory twin. tests/contract/test_machine_driver.py holds all to the same promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from stackyard.host.specs import (
    ConsoleEndpoint,
    MachineDiagnostics,
    MachineEvent,
    MachineImage,
    MachineNic,
    MachineObservation,
    MachinePlace,
    MachineSpec,
    MachineVolume,
    Snapshot,
)

Ability: TypeAlias = str
"""What not every driver can: pause, suspend, rescue, resize, snapshot, attach_port, attach_volume, vnc, serial,
password, crash_dump, console_output, diagnostics, soft_reboot, config_drive. Asking for another one's is refused with
a reason."""


class MachineDriver(Protocol):
    """One way of running servers on one host. Every method may be called from any thread.

    Raises `stackyard.host.errors`: HostError (may succeed later), NotFoundError, ConflictError (wrong state), SpecError
    (never possible; the text says why). Every method may be repeated: already done is done. What runs outlives this
    process and is found again by the next one.
    """

    abilities: frozenset[Ability]

    def start_up(self) -> None:
        """Make what everything else needs, adopting what an earlier run left."""
        ...

    def has_image(self, image: MachineImage) -> bool:
        """Whether the image is in this host's store already."""
        ...

    def load_image(self, image: MachineImage, data: BinaryIO) -> None:
        """Put an image into the host's store; SpecError when the data is no such image."""
        ...

    def place(self, machine_id: str) -> MachinePlace:
        """Where to wire the server's ports, made if it is not there; they are wired before the server is started."""
        ...

    def define(self, spec: MachineSpec) -> None:
        """Make the server, not started, or make it match the spec: disks that are missing are made (grown when the
        spec says more), memory, CPUs, cards and volumes are those of the next start. Never shrinks or empties a disk.
        """
        ...

    def start(self, machine_id: str) -> None:
        """Start it as it was defined last; a suspended one goes on where it was."""
        ...

    def stop(self, machine_id: str, timeout: float) -> None:
        """Ask its system to end (ACPI, signal); after `timeout` seconds (0: at once) end it.

        A stop at once may come from another thread while an earlier one waits, and ends the waiting.
        """
        ...

    def reboot(self, machine_id: str) -> None:
        """Have its system restart by itself, where it can; stop and start is the hard way."""
        ...

    def pause(self, machine_id: str) -> None:
        """Freeze it."""
        ...

    def unpause(self, machine_id: str) -> None:
        """Let it go on."""
        ...

    def suspend(self, machine_id: str) -> None:
        """Write its memory to disk and end it; `start` resumes."""
        ...

    def remove(self, machine_id: str) -> None:
        """End it, and delete its disks and its place."""
        ...

    def remove_root(self, machine_id: str) -> None:
        """Delete the root disk of a stopped server (rebuild, shelve): the next `define` makes it from its image."""
        ...

    def attach_port(self, machine_id: str, nic: MachineNic) -> None:
        """Plug a card into a running server; the port is wired already."""
        ...

    def detach_port(self, machine_id: str, port_id: str) -> None:
        """Unplug it."""
        ...

    def attach_volume(self, machine_id: str, volume: MachineVolume) -> None:
        """Give a running server a disk."""
        ...

    def detach_volume(self, machine_id: str, volume_id: str) -> None:
        """Take it away."""
        ...

    def extend_volume(self, machine_id: str, volume_id: str) -> None:
        """Have a running server see that a volume of it has grown; one that does not run sees it when it starts."""
        ...

    def snapshot(self, machine_id: str, target: Path) -> Snapshot:
        """Write the root disk, as it is at one moment, into the file `target`, whatever the server does."""
        ...

    def set_password(self, machine_id: str, user: str, password: str) -> None:
        """Change a user's password inside."""
        ...

    def crash_dump(self, machine_id: str) -> None:
        """Have its kernel crash (a non-maskable interrupt), so that it writes a dump if it is set up to."""
        ...

    def console_output(self, machine_id: str, lines: int | None = None) -> str:
        """What it has printed on its console, the last `lines` lines of it."""
        ...

    def console(self, machine_id: str, kind: str) -> ConsoleEndpoint:
        """Where its `vnc` or `serial` console is; ConflictError when it does not run."""
        ...

    def diagnostics(self, machine_id: str) -> MachineDiagnostics:
        """Use, sampled now."""
        ...

    def inspect(self, machine_id: str) -> MachineObservation | None:
        """What it is doing; None when this host has no such server."""
        ...

    def list(self) -> Sequence[MachineObservation]:
        """All servers of this cloud on this host."""
        ...

    def strays(self) -> Sequence[str]:
        """The ids of those of which something is left on this host, though they are no servers of it (any more)."""
        ...

    def events(self) -> Iterator[MachineEvent]:
        """Blocks and yields what happens to this cloud's servers, until `close`."""
        ...

    def purge(self) -> None:
        """Remove everything that this driver ever made on this host, and nothing else."""
        ...

    def close(self) -> None:
        """Let go of connections; servers run on."""
        ...


Machines: TypeAlias = Mapping[str, MachineDriver]
"""The drivers of one host by kind of server (`machine`, `container`, `system`)."""
