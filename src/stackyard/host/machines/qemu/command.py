"""The command line that starts a machine. Nothing of a tenant's is put together with other words in one argument."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from stackyard.host.errors import SpecError
from stackyard.host.machines.qemu import devices, disks, firmware, monitor, vhost
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.handing import Handing
from stackyard.host.machines.qemu.hardware import WATCHDOG_ACTIONS, Hardware, Slots
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.topology import topology
from stackyard.host.specs import MachineNic, MachineSpec

OpenCard = Callable[[MachineNic], int]
"""Opens the tap of a card; the descriptor is its receiver's to close."""

Wire = tuple[int, int | None]
"""A card's tap, and the kernel's mover of packets where there is one."""

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_KERNEL_LINE = "root=/dev/vda console=tty0 console=ttyS0"
_MOST_VCPUS = 255
_LEAST_MEMORY = 16
SOCKETS = ("control", "look", "watch")


class Commander:
    """Puts the command together, opening what goes with it."""

    def __init__(self, emulator: Emulator, store: ImageStore, home: Home, handing: Handing) -> None:
        self._emulator = emulator
        self._store = store
        self._home = home
        self._handing = handing

    def command(
        self, spec: MachineSpec, record: Record, open_card: OpenCard, *, resumed: bool = False, arriving: bool = False
    ) -> tuple[list[str], Slots, Hardware]:
        """The arguments, and the places that the devices got. One that is `arriving` waits for its memory."""
        hardware = Hardware.of(spec.properties)
        if not 1 <= spec.vcpus <= _MOST_VCPUS or spec.memory < _LEAST_MEMORY:
            raise SpecError(f"a machine has 1 to {_MOST_VCPUS} CPUs and at least {_LEAST_MEMORY} MiB of memory")
        kept = resumed or arriving
        slots = Slots(record.slots if kept else {})
        accelerator = record.accelerator if kept else self._emulator.accelerator
        machine_type = record.machine_type if kept else hardware.machine_type
        words = basics(spec, hardware, accelerator, machine_type) + self._firmware(record, hardware)
        words += self._cards(spec, hardware, slots, lambda nic: (open_card(nic), vhost.open_for(hardware, accelerator)))
        words += self._disks(spec, record, hardware, slots)
        words += [word for device in devices.others(hardware, slots) for word in ("-device", _json(device))]
        words += self._sockets(hardware) + self._kernel(spec)
        if resumed:
            memory = self._handing.descriptor(os.open(self._home.memory, os.O_RDONLY | os.O_CLOEXEC))
            words += ["-incoming", f"fd:{memory}"]
        elif arriving:
            words += ["-incoming", "defer", "-S"]
        return [self._emulator.path, *self._handing.arguments(), *words], slots, hardware

    def _firmware(self, record: Record, hardware: Hardware) -> list[str]:
        if not hardware.uefi:
            return []
        made = firmware.nodes(firmware.needed(), self._home, record.uid, self._handing.file)
        return [word for node in made for word in ("-blockdev", _json(node))]

    def _cards(
        self, spec: MachineSpec, hardware: Hardware, slots: Slots, open_card: Callable[[MachineNic], Wire]
    ) -> list[str]:
        words: list[str] = []
        for nic in spec.nics:
            device = devices.card(nic, hardware, slots)
            tap, kernel = open_card(nic)
            netdev = f"tap,id={device['netdev']},fd={self._handing.descriptor(tap)}"
            if kernel is not None:
                netdev += f",vhost=on,vhostfd={self._handing.descriptor(kernel)}"
            words += ["-netdev", netdev, "-device", _json(device)]
        return words

    def _disks(self, spec: MachineSpec, record: Record, hardware: Hardware, slots: Slots) -> list[str]:
        found = disks.of(self._store, self._home, spec, record, hardware)
        words: list[str] = []
        for device in devices.controllers(found, hardware, slots):
            words += ["-device", _json(device)]
        order = 0
        for disk in found:
            order += disk.boot
            device = devices.disk(disk, hardware, slots, boot=order if disk.boot else None)
            words += ["-blockdev", _json(disks.node(disk, self._handing.file)), "-device", _json(device)]
        return words

    def _sockets(self, hardware: Hardware) -> list[str]:
        words: list[str] = []
        for name in SOCKETS:
            words += ["-chardev", self._chardev(name), "-mon", f"chardev={name},mode=control"]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        log = self._handing.file(self._home.console_log, append)
        words += ["-chardev", f"{self._chardev('serial')},logfile={log},logappend=on"]
        words += ["-device", "isa-serial,chardev=serial"]
        if hardware.agent:
            words += ["-chardev", self._chardev("agent")]
        return words

    def _chardev(self, name: str) -> str:
        socket = monitor.listen(self._home.socket(name))
        return f"socket,id={name},fd={self._handing.descriptor(socket.detach())},server=on,wait=off"

    def _kernel(self, spec: MachineSpec) -> list[str]:
        image = disks.boot_images(spec)
        if image is None or image.kernel is None:
            return []
        words = ["-kernel", self._handing.plain(self._store.find(image.kernel)[0])]
        if image.ramdisk:
            words += ["-initrd", self._handing.plain(self._store.find(image.ramdisk)[0])]
        line = spec.kernel_command_line or spec.properties.get("os_command_line") or _KERNEL_LINE
        if "\0" in line:
            raise SpecError("the kernel's command line has a character that none can have")
        return [*words, "-append", line]


def basics(spec: MachineSpec, hardware: Hardware, accelerator: str, machine_type: str) -> list[str]:
    """What needs nothing of this host: machine, processors, memory, and what it may never do."""
    kvm = accelerator == "kvm"
    sockets, cores, threads = topology(spec.vcpus, spec.properties)
    options = f"dump-guest-core=off,vmport=off,hpet={'on' if hardware.hpet else 'off'}"
    flash = f",pflash0={firmware.CODE},pflash1={firmware.VARIABLES}" if hardware.uefi else ""
    return [
        "-name", f"guest={spec.id}", *_identity(spec.id),
        "-no-user-config", "-nodefaults", "-display", "none", "-vnc", "none",
        "-machine", f"{machine_type},{options}{flash}",
        "-accel", "kvm" if kvm else "tcg,tb-size=128",
        "-cpu", ("host,kvm=off" if hardware.hidden else "host") if kvm else "max",
        "-m", f"{spec.memory}M", "-smp", f"{spec.vcpus},sockets={sockets},cores={cores},threads={threads}",
        "-rtc", "base=utc", "-boot", "strict=on" + (",menu=on" if hardware.boot_menu else ""),
        "-action", "shutdown=pause,panic=pause" + _watchdog(hardware),
        "-sandbox", _SANDBOX,
        "-object", _json({"qom-type": "rng-builtin", "id": "rng0"}),
        "-device", "pvpanic",
        *(word for port in devices.pci_ports(hardware) for word in ("-device", _json(port))),
    ]  # fmt: skip


def _identity(machine_id: str) -> list[str]:
    """What the machine's firmware tables say: guests look there for whose metadata service to ask."""
    try:
        plain = str(uuid.UUID(machine_id))
    except ValueError:
        return []
    system = f"type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,serial={plain},uuid={plain}"
    return ["-uuid", plain, "-smbios", f"{system},family=Virtual Machine"]


def _watchdog(hardware: Hardware) -> str:
    action = WATCHDOG_ACTIONS[hardware.watchdog]
    return f",watchdog={action}" if action else ""


def _json(described: dict[str, Any]) -> str:
    return msgspec.json.encode(described).decode()
