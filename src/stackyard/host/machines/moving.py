"""Servers that move between hosts: two abilities of drivers, beside what `MachineDriver` promises.

`move`: a server that does not run is packed into parts on one host, and made of them on another one (`Moving`).
`live_move`: a running one goes over while it runs (`LiveMoving`): the next host begins to wait for it, and takes the
streams that the host it is on sends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias, cast

from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines import MachineDriver
from stackyard.host.specs import MachineImage, MachineSpec
from stackyard.host.specs.base import Spec


class MachinePart(Spec, frozen=True):
    """A file that goes over: its name, and its length in bytes (holes count)."""

    name: str
    size: int


class Parcel(Spec, frozen=True):
    """A server that is packed. `about` is for the other host's driver alone."""

    about: str
    parts: tuple[MachinePart, ...] = ()


class Progress(Spec, frozen=True):
    """How far a running server is on its way, in bytes."""

    memory_total: int = 0
    memory_processed: int = 0
    memory_remaining: int = 0
    disk_total: int = 0
    disk_processed: int = 0
    disk_remaining: int = 0


Order: TypeAlias = Literal["", "abort", "force"]
"""What is wanted of a server on its way: to go on, to stay, or to arrive soon, even if it stands still meanwhile."""


class MoveAbortedError(HostError):
    """The server stays where it is, because it was told to."""


class Moving(Protocol):
    """Ability `move`. Each step may be repeated, also after a crash; raises as MachineDriver does."""

    def pack(self, machine_id: str) -> Parcel:
        """What goes over. ConflictError while it runs. The server stays as it is, until it is removed."""
        ...

    def open_part(self, machine_id: str, name: str) -> BinaryIO:
        """One of its parts; NotFoundError for whatever else."""
        ...

    def arriving(self, machine_id: str, name: str) -> Path:
        """Where the other host writes a part; what is there already, an interrupted attempt has written."""
        ...

    def unpack(self, spec: MachineSpec, parcel: Parcel) -> None:
        """Make the server of what has arrived, stopped; `define` does what the spec says beyond that."""
        ...

    def pack_image(self, machine_id: str, image_id: str) -> Parcel:
        """An image that the server uses, as this host has it: for a host that cannot get it otherwise.

        NotFoundError for one that the server does not use, or this host does not have.
        """
        ...

    def unpack_image(self, machine_id: str, image: MachineImage, parcel: Parcel) -> None:
        """Put an image that has arrived into this host's store."""
        ...


class LiveMoving(Protocol):
    """Ability `live_move`. `expect`, `receive`, `arrived`, `land` on the next host, the others on the one it is on."""

    def describe(self, machine_id: str) -> str:
        """What the next host's driver must know. ConflictError when it does not run, SpecError when it cannot go."""
        ...

    def expect(self, spec: MachineSpec, about: str) -> Sequence[str]:
        """Wait for it; returns the streams that it takes. What waited for it before is removed. SpecError when it does
        not fit this host.
        """
        ...

    def receive(self, machine_id: str, stream: str) -> socket.socket:
        """Where a stream goes, as a connection of the caller's own; each is asked for once."""
        ...

    def send(
        self,
        machine_id: str,
        streams: Sequence[str],
        connect: Callable[[str], socket.socket],
        watch: Callable[[Progress], Order],
    ) -> None:
        """Send it; returns when all of it has arrived, and it stands still on both hosts.

        `connect` gives a connection of our own to a stream; `watch` is told now and then how far it is, and says what
        is wanted. Raises MoveAbortedError, HostError; it goes on here then.
        """
        ...

    def sent(self, machine_id: str) -> bool:
        """Whether all of it has gone over, so that it stands still here."""
        ...

    def arrived(self, machine_id: str) -> bool:
        """Whether all of it is here."""
        ...

    def land(self, machine_id: str) -> None:
        """It goes on here; one that was paused stays so."""
        ...

    def stay(self, machine_id: str, *, runs: bool = True) -> None:
        """Take back whatever sending has begun: it goes on where it was; `runs`: it was not paused before."""
        ...


def mover(driver: MachineDriver) -> Moving:
    """The driver as one that servers move by. Raises SpecError."""
    if "move" not in driver.abilities:
        raise SpecError("servers of this kind cannot move to another host")
    return cast("Moving", driver)


def live_mover(driver: MachineDriver) -> LiveMoving:
    """The same, of servers that run meanwhile."""
    if "live_move" not in driver.abilities:
        raise SpecError("servers of this kind cannot move to another host while they run")
    return cast("LiveMoving", driver)
