"""The driver of virtual machines: what to do, under each machine's lock, and what became of it, in its record."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.errors import ConflictError, SpecError
from stackyard.host.machines.qemu import agent, capture, disks, life, observe, plugging, process, watch
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.home import Home, Record, choose_uid
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.life import Life
from stackyard.host.machines.qemu.mobility import MobileMachines
from stackyard.host.network import NetworkDriver
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

_SOFT_REBOOT_SECONDS = 60.0


class QemuMachines(MobileMachines):
    """A `MachineDriver`. Everything it makes is in `directory`: a directory a machine, and the images."""

    abilities = frozenset(
        {
            "pause", "suspend", "rescue", "resize", "snapshot", "attach_port", "attach_volume", "vnc", "serial",
            "password", "crash_dump", "console_output", "diagnostics", "soft_reboot", "config_drive",
            "move", "live_move",
        }
    )  # fmt: skip

    def __init__(
        self,
        directory: Path,
        emulator: Emulator,
        network: NetworkDriver,
        *,
        soft_reboot_seconds: float = _SOFT_REBOOT_SECONDS,
    ) -> None:
        self._directory = directory
        self._store = ImageStore(directory / "_images", emulator)
        self._emulator = emulator
        self._making = threading.Lock()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._expected: Counter[str] = Counter()
        self._life = Life(emulator, self._store, network, soft_reboot_seconds)
        self._watcher = watch.Watcher(self._noticed)

    # ------------------------------------------------------------------------------------------------ images, place

    def start_up(self) -> None:
        """Find the machines of an earlier run, and end what it began and did not write down."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for home in self._homes():
            record = home.record()
            running = life.running(record)
            process.end_strays(record.uid, running.pid if running else 0)
            if running is not None:
                self._watcher.add(home, running)

    def has_image(self, image: MachineImage) -> bool:
        """Whether it, its kernel and its ramdisk are in the store."""
        return self._store.has(image)

    def load_image(self, image: MachineImage, data: BinaryIO) -> None:
        """Look at it and keep it; SpecError when it is no such image or leads to other files."""
        self._store.load(image, data)

    def place(self, machine_id: str) -> MachinePlace:
        """A tap, which the start opens."""
        Home(self._directory, machine_id)
        return MachinePlace(wire="tap")

    # --------------------------------------------------------------------------------------------------- life cycle

    def define(self, spec: MachineSpec) -> None:
        """Make its directory and disks; those of one that runs, or will go on, wait until it begins anew."""
        home = Home(self._directory, spec.id)
        self._life.check(spec)
        with self._locks[spec.id]:
            record = self._record_of(home)
            if life.running(record) is None and record.state != "suspended":
                record = disks.make(self._emulator, self._store, home, spec, record)
                record = msgspec.structs.replace(record, dirty=False)
            else:
                record = msgspec.structs.replace(record, dirty=True)
            home.keep_spec(spec)
            home.keep(record)

    def _record_of(self, home: Home) -> Record:
        with self._making:
            if home.exists():
                return home.record()
            home.make()
            # Written before any disk is: the next machine must not choose the same user.
            return home.keep(Record(uid=choose_uid(self._homes(), str(home.path))))

    def start(self, machine_id: str) -> None:
        """Start it, or resume it where it was suspended."""
        with self._held(machine_id) as home:
            record = self._settled(home)
            if life.running(record) is not None:
                return
            started = self._life.start(home, record)
            self._watcher.add(home, started)

    def stop(self, machine_id: str, timeout: float) -> None:
        """By its power button, then by force; a suspended one loses its memory."""
        if timeout <= 0:
            self._hurry(machine_id)
        with self._held(machine_id) as home, self._expecting(machine_id):
            self._life.stop(home, self._settled(home), timeout)

    def reboot(self, machine_id: str) -> None:
        """Its power button, and on again when it is off; a reset when its system does not listen."""
        with self._running(machine_id) as home, self._expecting(machine_id):
            self._life.reboot(home)

    def pause(self, machine_id: str) -> None:
        """Freeze its processors."""
        with self._running(machine_id) as home:
            life.command(home, "stop")

    def unpause(self, machine_id: str) -> None:
        """Let them go on."""
        with self._running(machine_id) as home:
            life.command(home, "cont")

    def suspend(self, machine_id: str) -> None:
        """Write its memory beside its disks, and end it."""
        with self._held(machine_id) as home, self._expecting(machine_id):
            record = self._settled(home)
            if record.state != "suspended":
                _need_running(home, record)
                self._life.suspend(home)

    def remove(self, machine_id: str) -> None:
        """End it and delete its directory."""
        home = Home(self._directory, machine_id)
        with self._locks[machine_id], self._expecting(machine_id):
            if home.exists():
                record = home.record()
                running = life.running(record)
                if running is not None:
                    process.kill(running)
                process.end_strays(record.uid, 0)
            self._life.release(home)
            home.remove()
        self._locks.pop(machine_id, None)

    def remove_root(self, machine_id: str) -> None:
        """Delete the root disk; it must not run."""
        if not Home(self._directory, machine_id).exists():
            return
        with self._held(machine_id) as home:
            record = self._settled(home)
            if life.running(record) is not None:
                raise ConflictError(f"server {machine_id} runs")
            home.memory.unlink(missing_ok=True)
            home.root.unlink(missing_ok=True)
            home.firmware.unlink(missing_ok=True)
            state = "stopped" if record.state == "suspended" else record.state
            home.change(root_bytes=0, root_image="", dirty=True, state=state)

    # ---------------------------------------------------------------------------------------------------- plugging

    def attach_port(self, machine_id: str, nic: MachineNic) -> None:
        """Plug a card in."""
        with self._running(machine_id) as home:
            plugging.attach_card(home, nic, self._life.open_card)

    def detach_port(self, machine_id: str, port_id: str) -> None:
        """Ask the system to let go of the card, and take it out."""
        with self._running(machine_id) as home:
            plugging.detach_card(home, port_id)

    def attach_volume(self, machine_id: str, volume: MachineVolume) -> None:
        """Plug a disk in."""
        with self._running(machine_id) as home:
            plugging.attach_volume(home, volume)

    def detach_volume(self, machine_id: str, volume_id: str) -> None:
        """Ask the system to let go of the disk, and take it out."""
        with self._running(machine_id) as home:
            plugging.detach_volume(home, volume_id)

    def extend_volume(self, machine_id: str, volume_id: str) -> None:
        """Tell the disk its volume's new size."""
        with self._running(machine_id) as home:
            plugging.extend_volume(home, volume_id)

    # ------------------------------------------------------------------------------------------------- looking at it

    def snapshot(self, machine_id: str, target: Path) -> Snapshot:
        """The root disk as a compressed qcow2 that stands alone."""
        with self._held(machine_id) as home:
            record = self._settled(home)
            spec = home.spec() if life.running(record) is None else home.live()
            if spec.image is None:
                raise SpecError(f"server {machine_id} has no root disk of its own: it boots from a volume")
            return capture.snapshot(self._emulator, self._store, home, record, target)

    def set_password(self, machine_id: str, user: str, password: str) -> None:
        """By the agent inside."""
        with self._running(machine_id) as home:
            agent.set_password(home, user, password)

    def crash_dump(self, machine_id: str) -> None:
        """A non-maskable interrupt."""
        with self._running(machine_id) as home:
            life.command(home, "inject-nmi")

    def console_output(self, machine_id: str, lines: int | None = None) -> str:
        """The end of what it printed on its serial console."""
        home = self._home(machine_id)
        return watch.tail(home.console_log, lines).decode(errors="replace")

    def console(self, machine_id: str, kind: str) -> ConsoleEndpoint:
        """The socket of a console of the running machine."""
        if kind not in ("vnc", "serial"):
            raise SpecError(f"there is no console of type {kind}")
        home = self._home(machine_id)
        _need_running(home, home.record())
        return ConsoleEndpoint(kind="vnc" if kind == "vnc" else "serial", path=str(home.socket(kind)))

    def diagnostics(self, machine_id: str) -> MachineDiagnostics:
        """Asked of QEMU and the kernel."""
        home = self._home(machine_id)
        running = _need_running(home, home.record())
        return observe.diagnostics(self._store, home, running)

    def inspect(self, machine_id: str) -> MachineObservation | None:
        """From its process and its record."""
        home = Home(self._directory, machine_id)
        if not (home.exists() and (home.path / "spec.json").exists()):
            return None
        return observe.look(home)

    def list(self) -> Sequence[MachineObservation]:
        """All that were ever defined to their end."""
        seen = (self.inspect(home.id) for home in self._homes())
        return [one for one in seen if one is not None]

    def strays(self) -> Sequence[str]:
        """Directories of machines that were never defined to their end, or not removed to it."""
        if not self._directory.is_dir():
            return []
        names = sorted(entry.name for entry in self._directory.iterdir() if entry.name[0] not in "._")
        return [name for name in names if self.inspect(name) is None]

    def events(self) -> Iterator[MachineEvent]:
        """What machines do by themselves, until `close`."""
        return self._watcher.events()

    def purge(self) -> None:
        """End and delete every machine, and the images."""
        for home in self._homes():
            self.remove(home.id)
        self._life.release_all()
        self._store.remove()

    def close(self) -> None:
        """Stop watching."""
        self._watcher.close()

    # ---------------------------------------------------------------------------------------------------- our own

    def _homes(self) -> Sequence[Home]:
        if not self._directory.is_dir():
            return []
        names = sorted(entry.name for entry in self._directory.iterdir() if entry.name[0] not in "._")
        return [home for home in (Home(self._directory, name) for name in names) if home.exists()]

    def _home(self, machine_id: str) -> Home:
        home = Home(self._directory, machine_id)
        home.record()
        return home

    @contextlib.contextmanager
    def _held(self, machine_id: str) -> Iterator[Home]:
        """The machine, with nobody else at it. Raises NotFoundError."""
        home = self._home(machine_id)
        with self._locks[machine_id]:
            yield home

    def _hurry(self, machine_id: str) -> None:
        """Pull the plug first when somebody is at the machine, who may be waiting for its system to end."""
        lock = self._locks[machine_id]
        if lock.acquire(blocking=False):
            lock.release()
            return
        running = life.running(self._home(machine_id).record())
        if running is not None:
            with self._expecting(machine_id):
                process.kill(running)

    @contextlib.contextmanager
    def _running(self, machine_id: str) -> Iterator[Home]:
        """The same, and it runs. Raises ConflictError."""
        with self._held(machine_id) as home:
            _need_running(home, self._settled(home))
            yield home

    @contextlib.contextmanager
    def _expecting(self, machine_id: str) -> Iterator[None]:
        """What the machine does meanwhile, it does because of us."""
        with self._making:
            self._expected[machine_id] += 1
        try:
            yield
        finally:
            with self._making:
                self._expected[machine_id] -= 1
                self._expected = +self._expected

    def _settled(self, home: Home) -> Record:
        """Its record, after what happened to its process is written in it."""
        with self._locks[home.id]:
            return life.settle(home)

    def _noticed(self, machine_id: str, said: str) -> MachineEvent | None:
        """A machine says, or its process shows, that something happened."""
        if machine_id in self._expected:
            return None
        if said == "reset":
            return MachineEvent(machine_id=machine_id, action="reset")
        home = Home(self._directory, machine_id)
        if not home.exists():
            return MachineEvent(machine_id=machine_id, action="removed") if said == "ended" else None
        with self._locks[machine_id]:
            before = home.record().state
            after = life.settle(home).state
        return MachineEvent(machine_id=machine_id, action=after) if before == "running" != after else None


def _need_running(home: Home, record: Record) -> process.Process:
    running = life.running(record)
    if running is None:
        raise ConflictError(f"server {home.id} is {record.state}")
    return running
