"""The driver of servers that are containers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.containers import ContainerEngine
from stackyard.host.errors import ConflictError, NotFoundError, SpecError
from stackyard.host.machines.engine import making
from stackyard.host.machines.engine.inside import Inside, MountNamespaces, power_off_signal
from stackyard.host.machines.engine.mobility import MobileContainers
from stackyard.host.machines.engine.records import Record, Records
from stackyard.host.machines.engine.volumes import ContainersWithVolumes
from stackyard.host.specs import (
    ConsoleEndpoint,
    ContainerObservation,
    MachineDiagnostics,
    MachineEvent,
    MachineImage,
    MachineNic,
    MachineObservation,
    MachinePlace,
    MachineSpec,
    Snapshot,
)

PART, PREFIX = "servers", "nova"
"""Which containers of the engine are ours: `nova-<id>`, as nova-docker called its own."""

_REBOOT_SECONDS = 10
_POLL_SECONDS = 0.05
_STATES = {"created": "defined", "running": "running", "restarting": "running", "paused": "paused"}


class EngineMachines(MobileContainers, ContainersWithVolumes):
    """A `MachineDriver` for the kinds `container` and `system`. `engine` is one of its own (see `apart`)."""

    abilities = frozenset(
        {
            "pause", "resize", "snapshot", "attach_port", "attach_volume", "console_output", "diagnostics",
            "soft_reboot", "move",
        }
    )  # fmt: skip

    def __init__(self, directory: Path, engine: ContainerEngine, inside: Inside | None = None) -> None:
        self._records = Records(directory)
        self._links = directory / "volumes"
        self._engine = engine
        self._inside = inside or MountNamespaces()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    # ------------------------------------------------------------------------------------------------ images, place

    def start_up(self) -> None:
        """The engine is called when it is needed."""

    def has_image(self, image: MachineImage) -> bool:
        """Whether the engine's store has it."""
        return self._engine.find_image(making.image_name(image)) is not None

    def load_image(self, image: MachineImage, data: BinaryIO) -> None:
        """A `docker save` archive, or the files of a system. Raises SpecError when it is none."""
        name = making.image_name(image)
        if self._engine.find_image(name) is not None:
            return
        if image.container_format == "docker":
            self._engine.load_image(data, name)
            return
        from stackyard.host.machines.engine import rootfs

        with rootfs.as_image(data, name) as archive:
            self._engine.load_image(archive, name)

    def place(self, machine_id: str) -> MachinePlace:
        """The namespace that the container will join."""
        return MachinePlace(wire="veth", netns=self._engine.ensure_sandbox(machine_id))

    # --------------------------------------------------------------------------------------------------- life cycle

    def define(self, spec: MachineSpec) -> None:
        """Make the container, or change its limits; everything else of one that is there stays as it was made."""
        wanted = making.container_spec(spec, self._link_of(spec.id))
        with self._locks[spec.id]:
            before = self._records.find(spec.id)
            seen = self._engine.inspect(spec.id)
            if seen is None:
                self._engine.ensure_sandbox(spec.id)
                self._create(spec, before.base if before is not None else "")
            elif before is not None and making.limits(before.spec) != making.limits(spec):
                self._engine.update(spec.id, memory=wanted.memory, cpus=wanted.cpus)
            runs = seen is not None and seen.state in ("running", "paused") and before is not None
            ports = before.ports if runs and before is not None else tuple(nic.port_id for nic in spec.nics)
            volumes = before.volumes if runs and before is not None else spec.volumes
            stopped = before is not None and before.stopped and seen is not None
            base = before.base if before is not None else ""
            self._records.keep(Record(spec=spec, ports=ports, volumes=volumes, stopped=stopped, base=base))

    def _create(self, spec: MachineSpec, base: str) -> None:
        wanted = making.container_spec(spec, self._link_of(spec.id))
        self._link_new(spec)
        self._engine.create(msgspec.structs.replace(wanted, image=base) if base else wanted)
        files = b"" if base else making.first_files(spec)
        if files:
            try:
                self._engine.put_archive(spec.id, "/", files)
            except BaseException:
                self._engine.remove(spec.id, force=True)
                raise

    def start(self, machine_id: str) -> None:
        """Start it; one whose container somebody removed is not there any more."""
        with self._locks[machine_id]:
            record = self._records.get(machine_id)
            seen = self._found(machine_id)
            if seen.state in ("running", "paused"):
                return
            self._link_again(record.spec)
            self._engine.start(machine_id)
            self._mount_later_ones(record, self._found(machine_id).pid)
            self._records.beside(machine_id, "parcel").unlink(missing_ok=True)
            ports = tuple(nic.port_id for nic in record.spec.nics)
            volumes = record.spec.volumes
            self._records.keep(msgspec.structs.replace(record, ports=ports, volumes=volumes, stopped=False))

    def stop(self, machine_id: str, timeout: float) -> None:
        """By the signal that its first process ends on; after `timeout` seconds it is killed."""
        if timeout <= 0:
            self._hurry(machine_id)
        with self._locks[machine_id]:
            self._records.get(machine_id)
            seen = self._found(machine_id)
            if seen.state == "created":
                return
            self._records.change(machine_id, stopped=True)
            if seen.state == "paused":
                self._engine.unpause(machine_id)
            if timeout > 0 and seen.state == "running":
                self._ask_init(machine_id, seen.pid, timeout)
            self._engine.stop(machine_id, 0 if self._is_system(machine_id) else int(timeout))

    def _hurry(self, machine_id: str) -> None:
        """Kill it first when somebody is at the server, who may be waiting for it to end."""
        lock = self._locks[machine_id]
        if lock.acquire(blocking=False):
            lock.release()
            return
        with contextlib.suppress(ConflictError, NotFoundError):
            self._engine.kill(machine_id, "SIGKILL")

    def _is_system(self, machine_id: str) -> bool:
        return self._records.get(machine_id).spec.kind == "system"

    def _ask_init(self, machine_id: str, pid: int, timeout: float) -> None:
        """An init does not end on SIGTERM: each has a signal of its own that means power off."""
        if not self._is_system(machine_id):
            return
        with contextlib.suppress(ConflictError):  # it has ended meanwhile
            self._engine.kill(machine_id, power_off_signal(pid))
        end = time.monotonic() + timeout
        waiting = threading.Event()
        while time.monotonic() < end and self._found(machine_id).state == "running":
            waiting.wait(_POLL_SECONDS)

    def reboot(self, machine_id: str) -> None:
        """Ended and started again, with its files and its addresses."""
        with self._locks[machine_id]:
            self._need(machine_id, "running")
            self.stop(machine_id, _REBOOT_SECONDS)
            self.start(machine_id)

    def pause(self, machine_id: str) -> None:
        """Freeze its processes."""
        with self._locks[machine_id]:
            if self._need(machine_id, "running", "paused").state == "running":
                self._engine.pause(machine_id)

    def unpause(self, machine_id: str) -> None:
        """Thaw them."""
        with self._locks[machine_id]:
            if self._need(machine_id, "running", "paused").state == "paused":
                self._engine.unpause(machine_id)

    def suspend(self, machine_id: str) -> None:
        """Refused: an engine cannot write a container's memory to disk."""
        self._need(machine_id, "running", "paused")
        raise SpecError("containers cannot be suspended: pause them")

    def remove(self, machine_id: str) -> None:
        """The container, its files and its namespace."""
        self._hurry(machine_id)
        with self._locks[machine_id]:
            if self._records.find(machine_id) is not None:
                self._records.change(machine_id, stopped=True)
            self._engine.remove(machine_id, force=True)
            self._engine.remove_sandbox(machine_id)
            self._forget_moved(machine_id)
            self._records.forget(machine_id)
        self._locks.pop(machine_id, None)

    def remove_root(self, machine_id: str) -> None:
        """The container goes; the next `define` makes it from its image."""
        with self._locks[machine_id]:
            seen = self._engine.inspect(machine_id)
            if seen is not None and seen.state in ("running", "paused"):
                raise ConflictError(f"server {machine_id} runs")
            if self._records.find(machine_id) is not None:
                self._records.change(machine_id, bare=True)
                self._engine.remove(machine_id, force=True)
                self._forget_moved(machine_id)

    # ---------------------------------------------------------------------------------------------------- plugging

    def attach_port(self, machine_id: str, nic: MachineNic) -> None:
        """It is in the namespace already."""
        with self._locks[machine_id]:
            self._need(machine_id, "running", "paused")
            ports = self._records.get(machine_id).ports
            self._records.change(machine_id, ports=tuple(dict.fromkeys((*ports, nic.port_id))))

    def detach_port(self, machine_id: str, port_id: str) -> None:
        """The network takes it out of the namespace."""
        with self._locks[machine_id]:
            self._need(machine_id, "running", "paused")
            ports = self._records.get(machine_id).ports
            self._records.change(machine_id, ports=tuple(port for port in ports if port != port_id))

    # ------------------------------------------------------------------------------------------------ looking at it

    def snapshot(self, machine_id: str, target: Path) -> Snapshot:
        """An application's as a `docker save` archive, a system's as a tar of its files; frozen meanwhile."""
        with self._locks[machine_id]:
            spec = self._records.get(machine_id).spec
            seen = self._found(machine_id)
            system = spec.kind == "system" and spec.image is not None and spec.image.container_format == making.ROOTFS
            freeze = system and seen.state == "running"
            if freeze:
                self._engine.pause(machine_id)
            try:
                if system:
                    _write(target, self._engine.export(machine_id))
                else:
                    self._save(machine_id, target)
            finally:
                if freeze:
                    self._engine.unpause(machine_id)
        return Snapshot(path=str(target), disk_format="raw", container_format=making.ROOTFS if system else "docker")

    def _save(self, machine_id: str, target: Path) -> None:
        name = f"stackyard-server:snapshot-{machine_id}"
        self._engine.commit(machine_id, name)
        try:
            _write(target, self._engine.save_image(name))
        finally:
            self._engine.remove_image(name)

    def set_password(self, machine_id: str, user: str, password: str) -> None:
        """Refused."""
        del user, password
        self._need(machine_id, "running")
        raise SpecError("the password of a user inside of a container cannot be changed from outside")

    def crash_dump(self, machine_id: str) -> None:
        """Refused."""
        self._need(machine_id, "running", "paused")
        raise SpecError("a container has no kernel of its own that could crash")

    def console_output(self, machine_id: str, lines: int | None = None) -> str:
        """What its processes printed."""
        self._records.get(machine_id)
        return self._engine.logs(machine_id, tail=lines).decode(errors="replace") if lines != 0 else ""

    def console(self, machine_id: str, kind: str) -> ConsoleEndpoint:
        """Refused."""
        self._need(machine_id, "running", "paused")
        raise SpecError(f"a container has no console of type {kind}")

    def diagnostics(self, machine_id: str) -> MachineDiagnostics:
        """As the engine counts; it counts the CPUs together, so each is told its share."""
        seen = self._need(machine_id, "running", "paused")
        spec = self._records.get(machine_id).spec
        stats = self._engine.stats(machine_id)
        return MachineDiagnostics(
            driver="docker",
            hypervisor="docker",
            state=seen.state,
            uptime=_seconds_since(seen.started_at),
            cpu_nanoseconds=(stats.cpu_nanoseconds // spec.vcpus,) * spec.vcpus,
            memory=spec.memory,
            memory_used=stats.memory_used >> 20,
        )

    def inspect(self, machine_id: str) -> MachineObservation | None:
        """From the engine and the record; None when somebody removed the container."""
        record, seen = self._records.find(machine_id), self._engine.inspect(machine_id)
        return None if record is None else _observation(record, seen)

    def list(self) -> Sequence[MachineObservation]:
        """All."""
        listed = {seen.id: seen for seen in self._engine.list()}
        records = [record for one in self._records.ids() if (record := self._records.find(one)) is not None]
        found = (_observation(record, self._exact(listed.get(record.spec.id))) for record in records)
        return [one for one in found if one is not None]

    def _exact(self, listed: ContainerObservation | None) -> ContainerObservation | None:
        """A listing does not tell of a container that has ended how it did."""
        return self._engine.inspect(listed.id) if listed is not None and listed.state == "exited" else listed

    def events(self) -> Iterator[MachineEvent]:
        """What containers do by themselves, until `close`."""
        for event in self._engine.events():
            record = self._records.find(event.container_id) if event.container_id else None
            if event.action == "destroy" and record is not None and not record.bare and not record.stopped:
                yield MachineEvent(machine_id=event.container_id, action="removed")
            elif event.action == "die" and record is not None and not record.stopped:
                seen = _observation(record, self._engine.inspect(event.container_id))
                if seen is not None and seen.state in ("running", "paused"):
                    continue  # it was ended and started again by us, before we came to read of its end
                yield MachineEvent(machine_id=event.container_id, action="removed" if seen is None else seen.state)

    def purge(self) -> None:
        """Remove all of ours."""
        for machine_id in self._records.ids():
            self.remove(machine_id)
        self._engine.purge()

    def close(self) -> None:
        """Let go of the engine."""
        self._engine.close()

    # ------------------------------------------------------------------------------------------------------- our own

    def _found(self, machine_id: str) -> ContainerObservation:
        seen = self._engine.inspect(machine_id)
        if seen is None:
            raise NotFoundError(f"the container of server {machine_id} is not there")
        return seen

    def _need(self, machine_id: str, *states: str) -> ContainerObservation:
        self._records.get(machine_id)
        seen = self._found(machine_id)
        if seen.state not in states:
            raise ConflictError(f"server {machine_id} is {_STATES.get(seen.state, 'stopped')}")
        return seen


def _observation(record: Record, seen: ContainerObservation | None) -> MachineObservation | None:
    if seen is None and not record.bare:
        return None
    state, error = _state(record, seen)
    return MachineObservation(
        id=record.spec.id,
        state=state,  # type: ignore[arg-type]
        pid=seen.pid if seen is not None and state in ("running", "paused") else 0,
        error=error,
        ports=record.ports,
        volumes=tuple(volume.id for volume in record.volumes),
    )


def _state(record: Record, seen: ContainerObservation | None) -> tuple[str, str]:
    if seen is None:
        return "stopped" if record.stopped else "defined", ""
    if seen.state in _STATES:
        return _STATES[seen.state], seen.error
    if record.stopped or seen.exit_code == 0:
        return "stopped", ""
    cause = "the kernel ended it: out of memory" if seen.oom_killed else f"it ended with exit code {seen.exit_code}"
    return "crashed", seen.error or cause


def _seconds_since(started_at: str | None) -> int:
    import datetime as dt

    if not started_at:
        return 0
    began = dt.datetime.fromisoformat(started_at[:19] + "+00:00")
    return max(0, int((dt.datetime.now(dt.UTC) - began).total_seconds()))


def _write(target: Path, chunks: Iterator[bytes]) -> None:
    with target.open("wb") as file:
        file.writelines(chunks)
