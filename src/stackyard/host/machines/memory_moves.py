"""How servers in memory move: what goes over is what they printed, and that they are there."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError
from stackyard.host.machines.moving import MachinePart, MoveAbortedError, Order, Parcel, Progress
from stackyard.host.specs import MachineImage, MachineSpec

if TYPE_CHECKING:
    from stackyard.host.machines.memory import Machine

PART = "root"
MEMORY = "memory"
_TURN_SECONDS = 0.02
_RECEIPT = b"!"


class MemoryMoves:
    """The part of the twin that packs, sends and receives. `hold` makes what is sent wait until it is set again."""

    _machines: dict[str, Machine]
    _images: set[str]
    _lock: threading.RLock
    _get: Callable[[str], Machine]
    _running: Callable[..., Machine]
    _enter: Callable[[str], None]

    def __init__(self) -> None:
        self._arrivals = tempfile.TemporaryDirectory(prefix="stackyard-")
        self._gone: set[str] = set()
        self._awaited: dict[str, bool] = {}
        self.hold = threading.Event()
        self.hold.set()

    def pack(self, machine_id: str) -> Parcel:
        """What it printed."""
        self._enter("pack")
        found = self._get(machine_id)
        if found.state in ("running", "paused", "suspended"):
            raise ConflictError(f"server {machine_id} is {found.state}")
        return Parcel(about="{}", parts=(MachinePart(PART, len(found.output.encode())),))

    def open_part(self, machine_id: str, name: str) -> BinaryIO:
        """A file of it."""
        if name != PART:
            raise NotFoundError(f"server {machine_id} has no part {name}")
        made = tempfile.TemporaryFile()  # noqa: SIM115  the caller's to close
        made.write(self._get(machine_id).output.encode())
        made.seek(0)
        return cast("BinaryIO", made)

    def arriving(self, machine_id: str, name: str) -> Path:
        """A file of this process's own."""
        if name != PART:
            raise HostError(f"{name} is no part of a server")
        return Path(self._arrivals.name, f"{machine_id}-{name}")

    def unpack(self, spec: MachineSpec, parcel: Parcel) -> None:
        """It is here, stopped."""
        from stackyard.host.machines.memory import Machine

        self._enter("unpack")
        path = self.arriving(spec.id, PART)
        if not path.exists() and spec.id in self._machines:
            return
        if not path.exists() or path.stat().st_size != parcel.parts[0].size:
            raise HostError(f"server {spec.id} has not arrived whole")
        with self._lock:
            self._machines[spec.id] = Machine(spec, state="stopped", output=path.read_text())
        path.unlink()

    def pack_image(self, machine_id: str, image_id: str) -> Parcel:
        """Its name is all there is of it."""
        image = self._get(machine_id).spec.image
        if image is None or image_id not in (image.id, image.kernel, image.ramdisk):
            raise NotFoundError(f"server {machine_id} does not use image {image_id}")
        return Parcel(about=image_id)

    def unpack_image(self, machine_id: str, image: MachineImage, parcel: Parcel) -> None:
        """It is known here."""
        del machine_id
        if parcel.about != image.id:
            raise HostError(f"what has arrived is not image {image.id}")
        self._images.add(image.id)

    # -- while it runs

    def describe(self, machine_id: str) -> str:
        """What it printed, and its state."""
        self._enter("describe")
        found = self._running(machine_id, "running", "paused")
        return msgspec.json.encode({"state": found.state, "spec": found.spec}).decode()

    def expect(self, spec: MachineSpec, about: str) -> Sequence[str]:
        """Paused, until it is here."""
        from stackyard.host.machines.memory import Machine

        self._enter("expect")
        state = str(msgspec.json.decode(about)["state"])
        with self._lock:
            made = self._machines[spec.id] = Machine(spec, state="paused")
            made.nics = {nic.port_id: nic for nic in spec.nics}
            made.volumes = {volume.id: volume for volume in spec.volumes}
            self._awaited[spec.id] = False
            made.next_state = state
        return (MEMORY,)

    def receive(self, machine_id: str, stream: str) -> socket.socket:
        """The way in."""
        if stream != MEMORY:
            raise SpecError(f"there is no stream {stream}")
        self._get(machine_id)
        ours, its = socket.socketpair()
        threading.Thread(target=self._take, args=(machine_id, its), daemon=True).start()
        return ours

    def _take(self, machine_id: str, stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as source:
            line = source.readline()
            with self._lock:
                found = self._machines.get(machine_id)
                if not line.endswith(b"\n") or found is None:
                    return
                found.output = msgspec.json.decode(line)
                self._awaited[machine_id] = True
            stream.sendall(_RECEIPT)

    def send(
        self,
        machine_id: str,
        streams: Sequence[str],
        connect: Callable[[str], socket.socket],
        watch: Callable[[Progress], Order],
    ) -> None:
        """It is sent once nothing holds it, or it is told to."""
        self._enter("send")
        found = self._running(machine_id, "running", "paused")
        size = len(found.output)
        with connect(streams[-1]) as connection:
            while True:
                wanted = watch(Progress(memory_total=size, memory_remaining=size))
                if wanted == "abort":
                    raise MoveAbortedError("the live migration was aborted")
                if wanted == "force" or self.hold.wait(_TURN_SECONDS):
                    break
            connection.sendall(msgspec.json.encode(found.output) + b"\n")
            if connection.recv(1) != _RECEIPT:
                raise HostError("the other host did not take it")
        watch(Progress(memory_total=size, memory_processed=size))
        self._gone.add(machine_id)
        found.state = "paused"

    def sent(self, machine_id: str) -> bool:
        """Whether it was."""
        return machine_id in self._gone and machine_id in self._machines

    def arrived(self, machine_id: str) -> bool:
        """Whether it is whole."""
        self._get(machine_id)
        return self._awaited.get(machine_id, True)

    def land(self, machine_id: str) -> None:
        """It is as it was there."""
        self._enter("land")
        found = self._get(machine_id)
        if self._awaited.pop(machine_id, None) is False:
            raise ConflictError(f"server {machine_id} has not arrived whole")
        found.state = found.next_state or found.state
        found.next_state = ""

    def stay(self, machine_id: str, *, runs: bool = True) -> None:
        """It is as it was."""
        self._gone.discard(machine_id)
        self._running(machine_id, "running", "paused").state = "running" if runs else "paused"
