"""The in-memory twin of machine drivers: servers that are nothing but their state, for tests."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from stackyard.host.disks.memory import MemoryVolumes
from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError
from stackyard.host.machines.memory_moves import MemoryMoves
from stackyard.host.specs import (
    ConsoleEndpoint,
    HostCapacity,
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

CAPACITY = HostCapacity(
    vcpus=64,
    memory=262144,
    disk=4096,
    memory_free=262144,
    disk_free=4096,
    hypervisor="QEMU",
    version=8000000,
    architecture="x86_64",
    cpu_model="memory",
    kinds=("machine", "container", "system"),
)


@dataclass(slots=True)
class Machine:
    """A server: nothing but its state."""

    spec: MachineSpec
    state: str = "defined"
    error: str = ""
    output: str = ""
    next_state: str = ""
    passwords: dict[str, str] = field(default_factory=dict)
    nics: dict[str, MachineNic] = field(default_factory=dict)
    volumes: dict[str, MachineVolume] = field(default_factory=dict)
    grown: list[str] = field(default_factory=list)


class MemoryMachines(MemoryMoves):
    """Keeps what it is told. `fail_next[method]` makes the next call of a method raise that error."""

    abilities = frozenset(
        {
            "pause", "suspend", "rescue", "resize", "snapshot", "attach_port", "attach_volume", "vnc", "serial",
            "password", "crash_dump", "console_output", "diagnostics", "soft_reboot", "config_drive",
            "move", "live_move",
        }
    )  # fmt: skip

    def __init__(self, wire: str = "tap") -> None:
        super().__init__()
        self._wire = wire
        if wire != "tap":
            self.abilities = self.abilities - {"live_move"}
        self._lock = threading.RLock()
        self._machines: dict[str, Machine] = {}
        self._images: set[str] = set()
        self._events: queue.SimpleQueue[MachineEvent | None] = queue.SimpleQueue()
        self.fail_next: dict[str, HostError] = {}

    def _enter(self, method: str) -> None:
        error = self.fail_next.pop(method, None)
        if error is not None:
            raise error

    def _get(self, machine_id: str) -> Machine:
        found = self._machines.get(machine_id)
        if found is None:
            raise NotFoundError(f"there is no server {machine_id} on this host")
        return found

    def start_up(self) -> None:
        """Nothing is needed."""

    def has_image(self, image: MachineImage) -> bool:
        """Whether it was loaded."""
        return image.id in self._images

    def load_image(self, image: MachineImage, data: BinaryIO) -> None:
        """Remember that it was, having read it all."""
        self._enter("load_image")
        while data.read(1 << 20):
            pass
        self._images.add(image.id)

    def place(self, machine_id: str) -> MachinePlace:
        """A tap, or a namespace's path that nothing looks at."""
        if self._wire == "tap":
            return MachinePlace(wire="tap")
        return MachinePlace(wire="veth", netns=f"/run/netns/memory-{machine_id}")

    def define(self, spec: MachineSpec) -> None:
        """Keep the spec."""
        self._enter("define")
        if spec.image is not None and spec.image.id not in self._images:
            raise SpecError(f"image {spec.image.id} is not in this host's store")
        with self._lock:
            found = self._machines.setdefault(spec.id, Machine(spec))
            found.spec = spec
            if found.state in ("defined", "stopped", "crashed"):
                found.nics = {nic.port_id: nic for nic in spec.nics}
                found.volumes = {volume.id: volume for volume in spec.volumes}

    def start(self, machine_id: str) -> None:
        """It runs."""
        self._enter("start")
        with self._lock:
            found = self._get(machine_id)
            if found.state in ("running", "paused"):
                return
            resumed, found.state, found.error = found.state == "suspended", "running", ""
            if resumed:
                return
            found.nics = {nic.port_id: nic for nic in found.spec.nics}
            found.volumes = {volume.id: volume for volume in found.spec.volumes}
            found.output += f"{found.spec.hostname or found.spec.name} login: \n"

    def stop(self, machine_id: str, timeout: float) -> None:
        """It is stopped."""
        del timeout
        self._enter("stop")
        with self._lock:
            found = self._get(machine_id)
            if found.state != "defined":
                found.state = "stopped"

    def reboot(self, machine_id: str) -> None:
        """It prints its prompt again."""
        self._enter("reboot")
        found = self._running(machine_id)
        found.output += f"{found.spec.hostname or found.spec.name} login: \n"

    def _running(self, machine_id: str, *states: str) -> Machine:
        found = self._get(machine_id)
        if found.state not in (states or ("running",)):
            raise ConflictError(f"server {machine_id} is {found.state}")
        return found

    def pause(self, machine_id: str) -> None:
        """It is paused."""
        self._enter("pause")
        self._running(machine_id, "running", "paused").state = "paused"

    def unpause(self, machine_id: str) -> None:
        """It runs."""
        self._enter("unpause")
        self._running(machine_id, "running", "paused").state = "running"

    def suspend(self, machine_id: str) -> None:
        """It is suspended."""
        self._enter("suspend")
        self._running(machine_id, "running", "suspended").state = "suspended"

    def remove(self, machine_id: str) -> None:
        """Forget it."""
        self._enter("remove")
        self._machines.pop(machine_id, None)
        self._gone.discard(machine_id)

    def remove_root(self, machine_id: str) -> None:
        """There is no disk."""
        self._enter("remove_root")
        if machine_id in self._machines and self._machines[machine_id].state in ("running", "paused"):
            raise ConflictError(f"server {machine_id} runs")

    def attach_port(self, machine_id: str, nic: MachineNic) -> None:
        """Keep the card."""
        self._enter("attach_port")
        self._running(machine_id, "running", "paused").nics[nic.port_id] = nic

    def detach_port(self, machine_id: str, port_id: str) -> None:
        """Forget the card."""
        self._enter("detach_port")
        self._running(machine_id, "running", "paused").nics.pop(port_id, None)

    def attach_volume(self, machine_id: str, volume: MachineVolume) -> None:
        """Keep the volume."""
        self._enter("attach_volume")
        self._running(machine_id, "running", "paused").volumes[volume.id] = volume

    def detach_volume(self, machine_id: str, volume_id: str) -> None:
        """Forget the volume."""
        self._enter("detach_volume")
        self._running(machine_id, "running", "paused").volumes.pop(volume_id, None)

    def extend_volume(self, machine_id: str, volume_id: str) -> None:
        """Count it, for a test to look at."""
        self._enter("extend_volume")
        found = self._running(machine_id, "running", "paused")
        if volume_id not in found.volumes:
            raise NotFoundError(f"server {machine_id} has no volume {volume_id}")
        found.grown.append(volume_id)

    def snapshot(self, machine_id: str, target: Path) -> Snapshot:
        """A small raw disk."""
        self._enter("snapshot")
        found = self._get(machine_id)
        target.write_bytes(machine_id.encode().ljust(512, b"\0"))
        image = found.spec.image
        return Snapshot(str(target), "raw", image.container_format if image else "bare")

    def set_password(self, machine_id: str, user: str, password: str) -> None:
        """Keep it, for a test to look at."""
        self._enter("set_password")
        self._running(machine_id).passwords[user] = password

    def crash_dump(self, machine_id: str) -> None:
        """It says so on its console."""
        self._enter("crash_dump")
        self._running(machine_id, "running", "paused").output += "Kernel panic: NMI\n"

    def console_output(self, machine_id: str, lines: int | None = None) -> str:
        """What was printed."""
        self._enter("console_output")
        output = self._get(machine_id).output
        return output if lines is None else "".join(output.splitlines(keepends=True)[-lines:] if lines else [])

    def console(self, machine_id: str, kind: str) -> ConsoleEndpoint:
        """A path where nobody listens."""
        self._running(machine_id)
        if kind not in ("vnc", "serial"):
            raise SpecError(f"there is no console of type {kind}")
        return ConsoleEndpoint(kind="vnc" if kind == "vnc" else "serial", path=f"/nowhere/{machine_id}/{kind}")

    def diagnostics(self, machine_id: str) -> MachineDiagnostics:
        """Figures that never change."""
        found = self._running(machine_id, "running", "paused")
        return MachineDiagnostics(
            driver="libvirt", hypervisor="qemu", state=found.state, uptime=1,
            cpu_nanoseconds=(0,) * found.spec.vcpus, memory=found.spec.memory, memory_used=0,
        )  # fmt: skip

    def inspect(self, machine_id: str) -> MachineObservation | None:
        """What it is said to be doing."""
        self._enter("inspect")
        with self._lock:
            found = self._machines.get(machine_id)
            return None if found is None else _observed(found)

    def list(self) -> Sequence[MachineObservation]:
        """All of them."""
        with self._lock:
            return [_observed(found) for found in self._machines.values()]

    def strays(self) -> Sequence[str]:
        """None: nothing lasts here."""
        return ()

    def events(self) -> Iterator[MachineEvent]:
        """What tests make happen."""
        while (event := self._events.get()) is not None:
            yield event

    def crash(self, machine_id: str, error: str = "killed") -> None:
        """For tests: it ends by itself, badly."""
        with self._lock:
            found = self._get(machine_id)
            found.state, found.error = "crashed", error
        self._events.put(MachineEvent(machine_id, "crashed"))

    def power_off(self, machine_id: str) -> None:
        """For tests: its system ends by itself."""
        with self._lock:
            self._running(machine_id).state = "stopped"
        self._events.put(MachineEvent(machine_id, "stopped"))

    def lose(self, machine_id: str) -> None:
        """For tests: somebody took it away."""
        with self._lock:
            self._machines.pop(machine_id, None)
        self._events.put(MachineEvent(machine_id, "removed"))

    def spec(self, machine_id: str) -> MachineSpec:
        """For tests: what it was defined as."""
        return self._get(machine_id).spec

    def purge(self) -> None:
        """Forget everything."""
        self._machines.clear()
        self._images.clear()

    def close(self) -> None:
        """End `events`."""
        self._events.put(None)


def _observed(found: Machine) -> MachineObservation:
    return MachineObservation(
        id=found.spec.id,
        state=found.state,  # type: ignore[arg-type]
        rescued=found.spec.rescue is not None,
        pid=1 if found.state in ("running", "paused") else 0,
        error=found.error,
        ports=tuple(found.nics),
        volumes=tuple(found.volumes),
    )


def in_memory_host() -> dict[str, Any]:
    """What a host in memory gives a cloud: a driver of each kind of server, volumes, and a big capacity."""
    drivers = {"machine": MemoryMachines(), "container": MemoryMachines("veth"), "system": MemoryMachines("veth")}
    return {"machines": drivers, "volumes": {"file": MemoryVolumes()}, "capacity": lambda: CAPACITY}
