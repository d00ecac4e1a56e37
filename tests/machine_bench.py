"""Drivers of servers for tests: each with an image in its store, and ways to make things happen to its servers."""

from __future__ import annotations

import io
import os
import socket
import tempfile
from pathlib import Path
from typing import Any, Protocol

from tests.dataplane.lab import EVERYTHING, Lab, free_port, new_id, new_mac, subnet
from tests.engine_fixture import wait_until
from tests.machine_guest import boot_disk

from stackyard.host.machines import MachineDriver
from stackyard.host.machines.memory import MemoryMachines
from stackyard.host.machines.qemu.driver import QemuMachines
from stackyard.host.machines.qemu.emulator import Emulator, find
from stackyard.host.specs import Address, MachineImage, MachineNic, MachineObservation, MachineSpec, PortSpec


class Bench(Protocol):
    """A driver with an image in its store, and what happens to its servers from inside and outside."""

    driver: MachineDriver
    image: MachineImage

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
        self.image = loaded(self.driver)

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
        self.image = loaded(self.driver)

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


def loaded(driver: MachineDriver) -> MachineImage:
    image = MachineImage(id=new_id(), disk_format="raw", container_format="bare")
    driver.load_image(image, io.BytesIO(boot_disk()))
    return image


def defined(bench: Bench, machine_id: str, **fields: Any) -> str:
    spec = MachineSpec(
        **{
            "id": machine_id, "name": "instance-00000001", "kind": "machine", "image": bench.image, "memory": 32,
            "vcpus": 1, **fields,
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
