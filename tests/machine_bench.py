"""Drivers of servers for tests: each with an image in its store, and ways to make things happen to its servers."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tests.dataplane.lab import EVERYTHING, Lab, free_port, new_id, new_mac, subnet
from tests.engine_fixture import busybox_archive, wait_until
from tests.machine_guest import boot_disk

from stackyard.host.containers import ContainerEngine
from stackyard.host.containers.archive import add_bytes, entry
from stackyard.host.containers.memory import MemoryEngine, Outcome
from stackyard.host.machines import MachineDriver
from stackyard.host.machines.engine.driver import EngineMachines
from stackyard.host.machines.memory import MemoryMachines
from stackyard.host.machines.qemu.driver import QemuMachines
from stackyard.host.machines.qemu.emulator import Emulator, find
from stackyard.host.specs import Address, MachineImage, MachineNic, MachineObservation, MachineSpec, PortSpec


class Bench(Protocol):
    """A driver with an image in its store, and what happens to its servers from inside and outside."""

    driver: MachineDriver
    image: MachineImage
    fields: dict[str, Any]

    def upload(self) -> BinaryIO:
        """An image's data."""

    def nic(self) -> MachineNic:
        """A card whose port is wired."""

    def greetings(self, machine_id: str) -> int:
        """How often its system has come up."""

    def power_off(self, machine_id: str) -> None:
        """Its system ends by itself."""

    def break_down(self, machine_id: str) -> None:
        """It ends badly."""

    def restart(self) -> None:
        """Another process takes over: a new driver on the same host."""

    def close(self) -> None:
        """Leave nothing."""


class MemoryBench:
    """The twin."""

    def __init__(self) -> None:
        self.twin = MemoryMachines()
        self.driver: MachineDriver = self.twin
        self.fields: dict[str, Any] = {}
        self.image = loaded(self, "bare")

    def upload(self) -> BinaryIO:
        return io.BytesIO(boot_disk())

    def nic(self) -> MachineNic:
        return MachineNic(port_id=new_id(), mac=new_mac())

    def greetings(self, machine_id: str) -> int:
        return self.driver.console_output(machine_id).count("login:")

    def power_off(self, machine_id: str) -> None:
        self.twin.power_off(machine_id)

    def break_down(self, machine_id: str) -> None:
        self.twin.crash(machine_id)

    def restart(self) -> None:
        pass

    def close(self) -> None:
        self.driver.close()


class QemuBench:
    """QEMU with a guest of two hundred bytes, and a network for its cards once one is wanted."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="stackyard-")
        self.path = Path(self._directory.name)
        self._lab: Lab | None = None
        found = find()
        assert isinstance(found, Emulator), found
        self._emulator = found
        self.driver: MachineDriver = self._made()
        self.fields: dict[str, Any] = {}
        self.image = loaded(self, "bare")

    def upload(self) -> BinaryIO:
        return io.BytesIO(boot_disk())

    def _made(self) -> QemuMachines:
        made = QemuMachines(self.path / "machines", self._emulator, self, soft_reboot_seconds=20)  # type: ignore[arg-type]
        made.start_up()
        return made

    def tap(self, port_id: str) -> Any:
        """All that the driver asks of the network."""
        return self.lab.driver.tap(port_id)

    @property
    def lab(self) -> Lab:
        """The network, once a card was wanted."""
        assert self._lab is not None
        return self._lab

    def unwire(self, nic: MachineNic) -> None:
        """The port goes."""
        self.lab.driver.remove_port(nic.port_id)

    def nic(self) -> MachineNic:
        if self._lab is None:
            self._lab = Lab(self.path, host_ports=(free_port(),))
            self._network = self._lab.network(subnet("10.1.0.0/24"))
            self._group = self._lab.group(*EVERYTHING)
        port = PortSpec(
            id=new_id(), network_id=self._network.id, mac=new_mac(), kind="tap",
            addresses=(Address(ip="10.1.0.9", prefix_length=24),), security_groups=(self._group.id,),
        )  # fmt: skip
        self._lab.driver.apply_port(port)
        return MachineNic(port_id=port.id, mac=port.mac)

    def greetings(self, machine_id: str) -> int:
        return self.driver.console_output(machine_id).count("hello")

    def power_off(self, machine_id: str) -> None:
        with socket.socket(socket.AF_UNIX) as serial:
            serial.connect(self.driver.console(machine_id, "serial").path)
            serial.sendall(b"p")

    def break_down(self, machine_id: str) -> None:
        os.kill(observed(self.driver, machine_id).pid, 9)

    def restart(self) -> None:
        self.driver.close()
        self.driver = self._made()

    def close(self) -> None:
        self.driver.purge()
        self.driver.close()
        if self._lab is not None:
            self._lab.close()
        self._directory.cleanup()


PROGRAM = "trap 'exit 0' TERM USR2 PWR; echo hello; while :; do sleep 0.1; done"


class PretendedMounts:
    """Of containers that are none."""

    def mount(self, pid: int, source: Path, target: str) -> None:
        """Whatever."""

    def unmount(self, pid: int, target: str) -> None:
        """Whatever."""


class EngineBench:
    """Servers that are containers of an engine; closing it leaves the engine to its owner."""

    def __init__(self, kind: str, engine: ContainerEngine, prefix: str = "nova") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="stackyard-")
        self._kind, self._base = kind, engine
        self.engine = engine.apart(f"bench-{os.urandom(3).hex()}", prefix)
        self.driver: MachineDriver = self._made()
        self.fields: dict[str, Any] = {"kind": kind}
        if kind == "container":
            self.fields["command"] = ("sh", "-c", PROGRAM)
        self.image = loaded(self, "docker" if kind == "container" else "rootfs")

    def _made(self) -> EngineMachines:
        inside = PretendedMounts() if isinstance(self.engine, MemoryEngine) else None
        return EngineMachines(Path(self._directory.name) / "records", self.engine, inside)

    def upload(self) -> BinaryIO:
        if self._kind == "container":
            return busybox_archive("some/thing:1")
        return system_files()

    def nic(self) -> MachineNic:
        return MachineNic(port_id=new_id(), mac=new_mac())

    def greetings(self, machine_id: str) -> int:
        return self.driver.console_output(machine_id).count("hello")

    def power_off(self, machine_id: str) -> None:
        if isinstance(self.engine, MemoryEngine):
            self.engine.finish(machine_id, 0)
        else:
            self.engine.kill(machine_id, "SIGTERM")

    def break_down(self, machine_id: str) -> None:
        self.engine.kill(machine_id, "SIGKILL")

    def restart(self) -> None:
        self.driver = self._made()

    def close(self) -> None:
        self.driver.purge()
        self.driver.close()
        self._directory.cleanup()


def greeting(words: Sequence[str]) -> Outcome:
    """What the engine that runs nothing lets its containers print."""
    return Outcome(stdout=b"hello\n") if words else Outcome()


def system_files() -> BinaryIO:
    """A system: a shell, and an init that greets and goes off when it is told to; as it is uploaded, packed."""
    target = io.BytesIO()
    init = f"#!/bin/sh\n{PROGRAM}\n".encode()
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        add_bytes(archive, "bin/busybox", busybox, mode=0o755)
        for name in ("sh", "sleep", "hostname", "mount"):
            link = entry(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        add_bytes(archive, "sbin/init", init, mode=0o755)
    target.seek(0)
    return target


def loaded(bench: Bench, container_format: str) -> MachineImage:
    image = MachineImage(id=new_id(), disk_format="raw", container_format=container_format)
    bench.driver.load_image(image, bench.upload())
    return image


def defined(bench: Bench, machine_id: str, **fields: Any) -> str:
    spec = MachineSpec(
        **{
            "id": machine_id, "name": "instance-00000001", "kind": "machine", "image": bench.image, "memory": 32,
            "vcpus": 1, **bench.fields, **fields,
        }
    )  # fmt: skip
    bench.driver.define(spec)
    return machine_id


def observed(driver: MachineDriver, machine_id: str) -> MachineObservation:
    found = driver.inspect(machine_id)
    assert found is not None
    return found


def greeted(bench: Bench, machine_id: str, times: int = 1) -> None:
    wait_until(lambda: bench.greetings(machine_id) >= times, "the system inside comes up")


def started(bench: Bench, machine_id: str) -> str:
    bench.driver.start(machine_id)
    greeted(bench, machine_id)
    return machine_id
