"""What a machine is made of, as images and flavors may choose it: every value is one of a list, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stackyard.host.errors import SpecError

DISK_BUSES = {"virtio": "virtio-blk-pci", "scsi": "scsi-hd", "ide": "ide-hd", "sata": "ide-hd", "usb": "usb-storage"}
CDROM_BUSES = {"ide": "ide-cd", "sata": "ide-cd", "scsi": "scsi-cd", "usb": "usb-storage", "virtio": "virtio-blk-pci"}
CARDS = {
    "virtio": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139", "pcnet": "pcnet",
    "ne2k_pci": "ne2k_pci", "vmxnet3": "vmxnet3",
}  # fmt: skip
SCREENS = {
    "vga": "VGA", "cirrus": "cirrus-vga", "virtio": "virtio-vga", "qxl": "qxl-vga", "vmvga": "vmware-svga",
    "bochs": "bochs-display", "none": "",
}  # fmt: skip
SCSI_CONTROLLERS = {"virtio-scsi": "virtio-scsi-pci", "lsilogic": "lsi53c895a", "lsisas1068": "mptsas1068"}
WATCHDOG_ACTIONS = {"disabled": "", "reset": "reset", "poweroff": "poweroff", "pause": "pause", "none": "none"}
_MACHINE = re.compile(r"(pc|q35|pc-i440fx-\d+\.\d+|pc-q35-\d+\.\d+)")
_NOT_HERE = {
    "hw_firmware_type": (("uefi",), "machines here boot by BIOS, not by UEFI"),
    "os_secure_boot": (("required",), "machines here boot by BIOS, which cannot be secured"),
    "hw_mem_encryption": (("true", "yes", "1", "on"), "the memory of machines cannot be encrypted here"),
    "hw_tpm_version": (("1.2", "2.0"), "machines here have no TPM"),
}


class Hardware(NamedTuple):
    """The choices of one machine, in the words of `hw_...` properties but for `machine_type`, which is QEMU's."""

    machine_type: str
    disk_bus: str
    cdrom_bus: str
    card: str
    scsi: str
    screen: str
    rng: bool
    tablet: bool
    watchdog: str
    agent: bool

    @property
    def express(self) -> bool:
        """Whether devices sit on ports of PCI Express, not on a PCI bus."""
        return "q35" in self.machine_type

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Hardware:
        """What the properties ask for. Raises SpecError for what there is not."""
        for name, (values, reason) in _NOT_HERE.items():
            if properties.get(name, "").lower() in values:
                raise SpecError(f"{name}={properties[name]}: {reason}")
        machine = properties.get("hw_machine_type") or "pc"
        if not _MACHINE.fullmatch(machine):
            raise SpecError(f"hw_machine_type={machine!r} is none of pc, q35 and their versions")
        disk = _one_of(properties, "hw_disk_bus", DISK_BUSES, "virtio")
        chosen = cls(
            machine_type=machine,
            disk_bus=disk,
            cdrom_bus=_one_of(properties, "hw_cdrom_bus", CDROM_BUSES, disk),
            card=_one_of(properties, "hw_vif_model", CARDS, "virtio"),
            scsi=_one_of(properties, "hw_scsi_model", SCSI_CONTROLLERS, "virtio-scsi"),
            screen=_one_of(properties, "hw_video_model", SCREENS, "vga"),
            rng=_one_of(properties, "hw_rng_model", {"virtio": "", "none": ""}, "virtio") == "virtio",
            tablet=_one_of(properties, "hw_pointer_model", {"usbtablet": "", "none": ""}, "none") == "usbtablet",
            watchdog=_one_of(properties, "hw_watchdog_action", WATCHDOG_ACTIONS, "disabled"),
            agent=properties.get("hw_qemu_guest_agent", "no").lower() in ("yes", "true", "1", "on"),
        )
        if chosen.express and "ide" in (chosen.disk_bus, chosen.cdrom_bus):
            raise SpecError("a q35 machine has no IDE: use sata")
        return chosen


def _one_of(properties: Mapping[str, str], name: str, choices: Mapping[str, str], default: str) -> str:
    value = properties.get(name) or default
    if value not in choices:
        raise SpecError(f"{name}={value!r} is none of {', '.join(choices)}")
    return value


class Slots:
    """Places on a machine's buses: each device keeps its own as long as the machine runs, or is suspended."""

    _RANGES = {"pci": range(3, 30), "ide": range(4), "sata": range(6), "scsi": range(1, 200), "usb": range(1, 9)}

    def __init__(self, taken: Mapping[str, int]) -> None:
        self.taken = dict(taken)

    def take(self, bus: str, key: str) -> int:
        """The device's place, given now if it has none. Raises SpecError when the bus is full."""
        name = f"{bus}/{key}"
        if name not in self.taken:
            used = {place for held, place in self.taken.items() if held.startswith(f"{bus}/")}
            free = next((place for place in self._RANGES[bus] if place not in used), None)
            if free is None:
                raise SpecError(f"there is no place left on the {bus} bus of the machine")
            self.taken[name] = free
        return self.taken[name]

    def give_back(self, key: str) -> None:
        """The device is gone."""
        self.taken = {name: place for name, place in self.taken.items() if name.partition("/")[2] != key}
