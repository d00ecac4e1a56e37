"""What an image's properties may say of a server's hardware: no other values reach a hypervisor."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from stackyard.core import ids
from stackyard.core.call import parse_boolean
from stackyard.core.errors import BadRequest

_BUSES = ("fdc", "ide", "lxc", "sata", "scsi", "uml", "usb", "virtio", "xen")
_CHOICES: dict[str, tuple[str, ...]] = {
    "hw_cdrom_bus": _BUSES,
    "hw_disk_bus": _BUSES,
    "hw_floppy_bus": _BUSES,
    "hw_rescue_bus": _BUSES,
    "hw_rescue_device": ("cdrom", "disk", "floppy", "fs", "lun"),
    "hw_cpu_policy": ("dedicated", "mixed", "shared"),
    "hw_cpu_thread_policy": ("isolate", "prefer", "require"),
    "hw_firmware_type": ("bios", "uefi"),
    "hw_input_bus": ("usb", "virtio"),
    "hw_mem_encryption_model": ("amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx"),
    "hw_pci_numa_affinity_policy": ("legacy", "preferred", "required", "socket"),
    "hw_pointer_model": ("usbtablet",),
    "hw_rng_model": ("virtio",),
    "hw_scsi_model": (
        "buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi", "vmpvscsi",
    ),
    "hw_video_model": ("bochs", "cirrus", "gop", "none", "qxl", "vga", "virtio", "vmvga", "xen"),
    "hw_vif_model": (
        "e1000", "e1000e", "igb", "lan9118", "ne2k_pci", "netfront", "pcnet", "rtl8139", "spapr-vlan", "virtio",
        "VirtualE1000", "VirtualE1000e", "VirtualPCNet32", "VirtualSriovEthernetCard", "VirtualVmxnet",
        "VirtualVmxnet3", "vmxnet3",
    ),
    "hw_viommu_model": ("auto", "intel", "smmuv3", "virtio"),
    "hw_vm_mode": ("exe", "hvm", "uml", "xen", "pv", "hv", "baremetal"),
    "hw_watchdog_action": ("disabled", "none", "pause", "poweroff", "reset"),
    "hw_tpm_model": ("tpm-crb", "tpm-tis"),
    "hw_tpm_version": ("1.2", "2.0"),
    "hw_ephemeral_encryption_format": ("plain", "luks", "luksv2"),
    "hw_maxphysaddr_mode": ("emulate", "passthrough"),
    "hw_sound_model": ("ac97", "es1370", "ich6", "ich9", "pcspk", "sb16", "usb", "virtio"),
    "hw_usb_model": ("nec-xhci", "none", "qemu-xhci"),
    "img_signature_hash_method": ("SHA-224", "SHA-256", "SHA-384", "SHA-512"),
    "os_secure_boot": ("disabled", "optional", "required"),
}  # fmt: skip
_FLAGS = (
    "hw_boot_menu", "hw_firmware_stateless", "hw_ipxe_boot", "hw_locked_memory", "hw_mem_encryption", "hw_pmu",
    "hw_qemu_guest_agent", "hw_time_hpet", "hw_vif_multiqueue_enabled", "hw_ephemeral_encryption",
    "hw_virtio_packed_ring", "img_bittorrent", "img_bdm_v2", "img_cache_in_nova", "img_linked_clone", "img_use_agent",
    "img_hide_hypervisor_id", "os_require_quiesce", "os_skip_agent_inject_files_at_boot",
    "os_skip_agent_inject_ssh",
)  # fmt: skip
_NUMBERS = (
    "hw_cpu_cores", "hw_cpu_sockets", "hw_cpu_threads", "hw_cpu_max_cores", "hw_cpu_max_sockets",
    "hw_cpu_max_threads", "hw_device_id", "hw_numa_nodes", "hw_serial_port_count", "hw_video_ram",
    "hw_maxphysaddr_bits", "hw_redirected_usb_ports", "img_compression_level", "img_version",
)  # fmt: skip
_WORDS = (
    "hw_architecture", "hw_emulation_architecture", "hw_auto_disk_config", "hw_disk_type", "hw_machine_type",
    "hw_mem_page_size", "hw_cpu_realtime_mask", "img_hv_type", "img_owner_id", "img_root_device_name", "os_type",
    "os_distro", "os_admin_user", "img_hv_requested_version", "img_signature_key_type",
)  # fmt: skip
_TEXTS = ("img_block_device_mapping", "img_mappings", "img_signature", "os_command_line", "traits_required")
_OLD_NAMES = {
    "architecture": "hw_architecture",
    "owner_id": "img_owner_id",
    "vmware_disktype": "hw_disk_type",
    "vmware_image_version": "img_version",
    "vmware_ostype": "os_distro",
    "auto_disk_config": "hw_auto_disk_config",
    "ipxe_boot": "hw_ipxe_boot",
    "xenapi_device_id": "hw_device_id",
    "xenapi_image_compression_level": "img_compression_level",
    "vmware_linked_clone": "img_linked_clone",
    "xenapi_use_agent": "img_use_agent",
    "xenapi_skip_agent_inject_ssh": "os_skip_agent_inject_ssh",
    "xenapi_skip_agent_inject_files_at_boot": "os_skip_agent_inject_files_at_boot",
    "cache_in_nova": "img_cache_in_nova",
    "vm_mode": "hw_vm_mode",
    "bittorrent": "img_bittorrent",
    "mappings": "img_mappings",
    "block_device_mapping": "img_block_device_mapping",
    "bdm_v2": "img_bdm_v2",
    "root_device_name": "img_root_device_name",
    "hypervisor_version_requires": "img_hv_requested_version",
    "hypervisor_type": "img_hv_type",
}
_UUIDS = ("hw_ephemeral_encryption_secret_uuid", "img_signature_certificate_uuid")
_CONFIG_DRIVE = ("optional", "mandatory")

STANDARD = frozenset(
    {*_CHOICES, *_FLAGS, *_NUMBERS, *_WORDS, *_TEXTS, *_UUIDS, *_OLD_NAMES, "img_config_drive", "hw_numa_cpus",
     "hw_numa_mem"}
)  # fmt: skip
"""The properties that have a meaning for servers: what a server's image shows of itself."""

_WORD = re.compile(r"[A-Za-z0-9_.,:/<>=! ^+\-]{0,255}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_NUMA = re.compile(r"hw_numa_(cpus|mem)\.[0-9]{1,3}")
_NUMA_VALUE = re.compile(r"[0-9,\-]{1,255}")
_TRAIT = re.compile(r"trait:[A-Z0-9_]{1,255}")


def _refuse(name: str, value: str, expected: str) -> BadRequest:
    return BadRequest(
        f"Invalid image metadata. Error: the property {name} is '{value[:80]}', which is not {expected}.",
        kind="InvalidImagePropertyValue",
    )


def _flag(name: str, value: str) -> None:
    try:
        parse_boolean(name, value.strip())
    except BadRequest:
        raise _refuse(name, value, "a boolean") from None


def _number(name: str, value: str) -> None:
    if not _NUMBER.fullmatch(value):
        raise _refuse(name, value, "a whole number")


def _word(name: str, value: str) -> None:
    if not _WORD.fullmatch(value) or value.startswith("-"):
        raise _refuse(name, value, "a plain word")


def _uuid(name: str, value: str) -> None:
    if not ids.is_uuid(value):
        raise _refuse(name, value, "a UUID")


def _text(name: str, value: str) -> None:
    if any(ord(char) < 32 and char not in "\t\n" for char in value):
        raise _refuse(name, value, "a text without control characters")


def _one_of(choices: tuple[str, ...]) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in choices:
            raise _refuse(name, value, f"one of {', '.join(choices)}")

    return check


_CHECKS: dict[str, Callable[[str, str], None]] = {
    **{name: _one_of(choices) for name, choices in _CHOICES.items()},
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_WORDS, _word),
    **dict.fromkeys(_UUIDS, _uuid),
    **dict.fromkeys(_TEXTS, _text),
}
_CHECKS |= {old: _CHECKS[new] for old, new in _OLD_NAMES.items()}


def check(properties: Mapping[str, object]) -> None:
    """Raise BadRequest, naming the property, for one whose value servers cannot have."""
    drive = properties.get("img_config_drive")
    if drive is not None and drive not in _CONFIG_DRIVE:
        raise BadRequest(f"Image's config drive option '{str(drive)[:80]}' is invalid", kind="InvalidImageConfigDrive")
    for name, value in properties.items():
        if value is None:
            continue
        known = _CHECKS.get(name)
        if known is not None:
            known(name, str(value))
        elif _NUMA.fullmatch(name):
            if not _NUMA_VALUE.fullmatch(str(value)):
                raise _refuse(name, str(value), "a list of numbers")
        elif name.startswith("trait:") and (not _TRAIT.fullmatch(name) or value not in ("required", "forbidden")):
            raise _refuse(name, str(value), "required or forbidden")
        elif name.startswith(("hw_", "hw:")):
            _word(name, str(value))


def standard(properties: Mapping[str, object]) -> dict[str, str]:
    """Those of an image's properties that have a meaning for servers."""
    return {name: str(value) for name, value in properties.items() if name in STANDARD and value is not None}
