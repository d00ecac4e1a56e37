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
VIDEO_RAM = {"vga": "vgamem_mb", "cirrus": "vgamem_mb", "qxl": "vram_size_mb", "vmvga": "vgamem_mb"}
"""How the screens whose memory can be chosen are told of it, in MiB."""

_MOST_VIDEO_RAM = 256
_YES, _NO = ("yes", "true", "1", "on", "y", "t"), ("no", "false", "0", "off", "n", "f")
_MACHINE = re.compile(r"(pc|q35|pc-i440fx-\d+\.\d+|pc-q35-\d+\.\d+)")
_NOT_HERE = {
    "os_secure_boot": (("required",), "the firmware of machines here checks no signatures"),
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
    rng_rate: tuple[int, int]
    tablet: str
    watchdog: str
    agent: bool
    uefi: bool
    hpet: bool
    boot_menu: bool
    hidden: bool
    video_ram: int

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
            rng=_one_of(properties, "hw_rng_model", {"virtio": "", "none": ""}, "virtio") == "virtio"
            and _flag(properties, "hw_rng_allowed", default=True),
            rng_rate=(_number(properties, "hw_rng_rate_bytes"), _number(properties, "hw_rng_rate_period") or 1000),
            tablet=_tablet(properties),
            watchdog=_one_of(properties, "hw_watchdog_action", WATCHDOG_ACTIONS, "disabled"),
            agent=_flag(properties, "hw_qemu_guest_agent"),
            uefi=_one_of(properties, "hw_firmware_type", {"bios": "", "uefi": ""}, "bios") == "uefi",
            hpet=_flag(properties, "hw_time_hpet"),
            boot_menu=_flag(properties, "hw_boot_menu"),
            hidden=_flag(properties, "img_hide_hypervisor_id") or _flag(properties, "hw_hide_hypervisor_id"),
            video_ram=_number(properties, "hw_video_ram"),
        )
        chosen.check(properties)
        return chosen

    def check(self, properties: Mapping[str, str]) -> None:
        """Raise SpecError for choices that do not go together."""
        if self.express and "ide" in (self.disk_bus, self.cdrom_bus):
            raise SpecError("a q35 machine has no IDE: use sata")
        most = _number(properties, "hw_video_ram_max_mb")
        if self.video_ram > most:
            raise SpecError(f"hw_video_ram={self.video_ram} is more than the flavor's hw_video:ram_max_mb={most}")
        if self.video_ram and self.screen not in VIDEO_RAM:
            raise SpecError(f"the memory of a {self.screen} screen cannot be chosen")
        if self.video_ram and (self.video_ram > _MOST_VIDEO_RAM or self.video_ram & (self.video_ram - 1)):
            raise SpecError(f"hw_video_ram={self.video_ram} is no power of two up to {_MOST_VIDEO_RAM} MiB")


def _tablet(properties: Mapping[str, str]) -> str:
    """The bus of the tablet that stands for a mouse, empty without one."""
    wanted = _one_of(properties, "hw_pointer_model", {"usbtablet": "", "none": ""}, "none") == "usbtablet"
    bus = _one_of(properties, "hw_input_bus", {"usb": "", "virtio": ""}, "usb")
    return bus if wanted or properties.get("hw_input_bus") else ""


def _flag(properties: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    value = properties.get(name, "").strip().lower()
    if value and value not in (*_YES, *_NO):
        raise SpecError(f"{name}={value[:40]!r} is neither yes nor no")
    return value in _YES if value else default


def _number(properties: Mapping[str, str], name: str) -> int:
    value = properties.get(name) or "0"
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise SpecError(f"{name}={value[:40]!r} is not a whole number")
    return int(value)


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
