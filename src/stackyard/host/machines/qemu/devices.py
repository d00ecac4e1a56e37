"""Devices of a machine as QEMU is told of them, at its start (`-device`) and while it runs (`device_add`)."""

from __future__ import annotations

import hashlib
from typing import Any

from stackyard.host.machines.qemu.disks import Disk
from stackyard.host.machines.qemu.hardware import (
    CARDS,
    CDROM_BUSES,
    DISK_BUSES,
    SCREENS,
    SCSI_CONTROLLERS,
    VIDEO_RAM,
    Hardware,
    Slots,
)
from stackyard.host.specs import MachineNic

Device = dict[str, Any]

_PORTS = range(3, 30)
_SCREEN_SLOT = 2


def on_pci(hardware: Hardware, slots: Slots, key: str) -> Device:
    """Where the device of that name sits."""
    slot = slots.take("pci", key)
    if hardware.express:
        return {"bus": f"port{slot}", "addr": "0x0"}
    return {"bus": "pci.0", "addr": f"{slot:#x}"}


def pci_ports(hardware: Hardware) -> list[Device]:
    """The ports that devices are plugged into, where the machine is one of PCI Express."""
    if not hardware.express:
        return []
    return [
        {
            "driver": "pcie-root-port", "id": f"port{slot}", "bus": "pcie.0", "chassis": slot, "multifunction": True,
            "addr": f"{0x10 + number // 8:#x}.{number % 8}", "io-reserve": 0,
        }
        for number, slot in enumerate(_PORTS)
    ]  # fmt: skip


def key_of_card(port_id: str) -> str:
    """The name of a card among the machine's devices."""
    return "n" + hashlib.sha256(port_id.encode()).hexdigest()[:16]


def card(nic: MachineNic, hardware: Hardware, slots: Slots, *, boot: int | None = None) -> Device:
    """A network card on the netdev of the same name."""
    key = key_of_card(nic.port_id)
    made: Device = {
        "driver": CARDS[hardware.card], "id": f"card-{key}", "netdev": key, "mac": nic.mac, "romfile": "",
        **on_pci(hardware, slots, key),
    }  # fmt: skip
    if hardware.card == "virtio":
        made["host_mtu"] = nic.mtu
    if boot is not None:
        made["bootindex"] = boot
    return made


def disk(found: Disk, hardware: Hardware, slots: Slots, *, boot: int | None = None) -> Device:
    """The device of a disk on its block node."""
    driver = (CDROM_BUSES if found.cdrom else DISK_BUSES)[found.bus]
    made: Device = {"driver": driver, "id": f"disk-{found.key}", "drive": found.node}
    if found.bus == "virtio":
        made |= on_pci(hardware, slots, found.key)
    elif found.bus == "scsi":
        made |= {"bus": "scsi0.0", "scsi-id": 0, "lun": slots.take("scsi", found.key)}
        if hardware.scsi != "virtio-scsi":
            made |= {"scsi-id": made.pop("lun"), "lun": 0}
    elif found.bus == "ide":
        place = slots.take("ide", found.key)
        made |= {"bus": f"ide.{place // 2}", "unit": place % 2}
    elif found.bus == "sata":
        bus = "ide" if hardware.express else "sata0"
        made |= {"bus": f"{bus}.{slots.take('sata', found.key)}"}
    else:
        made |= {"bus": "usb0.0", "port": str(slots.take("usb", found.key))}
    serial = found.serial[:20] if found.bus in ("virtio", "ide", "sata") else found.serial
    if serial:
        made["serial"] = serial
    if boot is not None:
        made["bootindex"] = boot
    if found.shared:
        made["share-rw"] = True
    return made


def controllers(disks: list[Disk], hardware: Hardware, slots: Slots) -> list[Device]:
    """What the disks' buses hang from."""
    buses = {found.bus for found in disks} | {hardware.disk_bus}
    made: list[Device] = []
    if "scsi" in buses:
        made.append({"driver": SCSI_CONTROLLERS[hardware.scsi], "id": "scsi0", **on_pci(hardware, slots, "scsi0")})
    if "sata" in buses and not hardware.express:
        made.append({"driver": "ich9-ahci", "id": "sata0", **on_pci(hardware, slots, "sata0")})
    if "usb" in buses or hardware.tablet == "usb":
        made.append({"driver": "qemu-xhci", "id": "usb0", **on_pci(hardware, slots, "usb0")})
    if hardware.tablet == "usb":
        made.append({"driver": "usb-tablet", "bus": "usb0.0", "port": str(slots.take("usb", "tablet"))})
    return made


def others(hardware: Hardware, slots: Slots) -> list[Device]:
    """Screen, source of randomness, watchdog."""
    made: list[Device] = []
    if SCREENS[hardware.screen]:
        bus = "pcie.0" if hardware.express else "pci.0"
        screen: Device = {"driver": SCREENS[hardware.screen], "id": "screen", "bus": bus, "addr": f"{_SCREEN_SLOT:#x}"}
        if hardware.video_ram:
            screen[VIDEO_RAM[hardware.screen]] = hardware.video_ram
        made.append(screen)
    if hardware.tablet == "virtio":
        made.append({"driver": "virtio-tablet-pci", **on_pci(hardware, slots, "tablet")})
    if hardware.rng:
        rng: Device = {"driver": "virtio-rng-pci", "rng": "rng0", **on_pci(hardware, slots, "rng")}
        amount, milliseconds = hardware.rng_rate
        made.append(rng | {"max-bytes": amount, "period": milliseconds} if amount else rng)
    if hardware.watchdog != "disabled":
        made.append({"driver": "i6300esb", **on_pci(hardware, slots, "watchdog")})
    if hardware.agent:
        made.append({"driver": "virtio-serial-pci", "id": "channels", **on_pci(hardware, slots, "channels")})
        made.append({"driver": "virtserialport", "chardev": "agent", "name": "org.qemu.guest_agent.0"})
    return made
