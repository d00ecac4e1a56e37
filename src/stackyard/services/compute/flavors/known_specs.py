"""The extra specs that are known, and what their values may be; a key of a known namespace must be one of these.

Keys without a namespace, and those of other namespaces, may be anything.
"""

from __future__ import annotations

import re

from stackyard.core.errors import BadRequest

_BOOLEAN = re.compile(r"(?i)1|t|true|on|y|yes|0|f|false|off|n|no")
_ANY = re.compile(r"(?s).*")
_INTEGER = re.compile(r"-?\d{1,18}")
_COUNT = re.compile(r"\d{1,18}")
_POSITIVE = re.compile(r"0*[1-9]\d{0,17}")
_CPUS = re.compile(r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*")
_PRESENCE = re.compile("required|forbidden")


def _words(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(word) for word in words))


_KNOWN: dict[str, re.Pattern[str]] = {
    "accel:device_profile": _ANY,
    "group_policy": _words("isolate", "none"),
    "hide_hypervisor_id": _BOOLEAN,
    "hw_rng:allowed": _BOOLEAN,
    "hw_rng:rate_bytes": _COUNT,
    "hw_rng:rate_period": _COUNT,
    "hw_video:ram_max_mb": _COUNT,
    "os:secure_boot": _words("disabled", "required"),
    "pci_passthrough:alias": re.compile(r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*"),
    "quota:cpu_shares": _COUNT,
    "quota:cpu_period": _COUNT,
    "quota:cpu_quota": _INTEGER,
    "vmware:hw_version": _ANY,
    "vmware:storage_policy": _ANY,
    "hw:cpu_realtime_mask": _CPUS,
    "hw:cpu_dedicated_mask": _CPUS,
    "hw:cpu_policy": _words("dedicated", "shared", "mixed"),
    "hw:cpu_thread_policy": _words("prefer", "isolate", "require"),
    "hw:emulator_threads_policy": _words("isolate", "share"),
    "hw:mem_page_size": re.compile(r"large|small|any|\d+([kKMGT]i?)?(b|bit|B)?"),
    "hw:numa_nodes": _POSITIVE,
    "hw:pci_numa_affinity_policy": _words("required", "preferred", "legacy", "socket"),
    "hw:mem_encryption_model": _words("amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx"),
    "hw:pmem": re.compile(r"[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*,?"),
    "hw:serial_port_count": _COUNT,
    "hw:tpm_model": _words("tpm-tis", "tpm-crb"),
    "hw:tpm_version": _words("1.2", "2.0"),
    "hw:tpm_secret_security": _words("user", "host", "deployment"),
    "hw:watchdog_action": _words("none", "pause", "poweroff", "reset", "disabled"),
    "hw:viommu_model": _words("intel", "smmuv3", "virtio", "auto"),
    "hw:sound_model": _words("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    "hw:usb_model": _words("none", "nec-xhci", "qemu-xhci"),
    "hw:redirected_usb_ports": re.compile(r"0*(\d|1[0-5])"),
    "hw:ephemeral_encryption_format": _words("plain", "luks", "luksv2"),
}
_KNOWN |= {f"hw:cpu_{part}": _POSITIVE for part in ("sockets", "cores", "threads")}
_KNOWN |= {f"hw:cpu_max_{part}": _POSITIVE for part in ("sockets", "cores", "threads")}
_KNOWN |= {
    f"hw:{flag}": _BOOLEAN
    for flag in (
        "cpu_realtime", "hide_hypervisor_id", "locked_memory", "boot_menu", "vif_multiqueue_enabled", "mem_encryption",
        "pmu", "virtio_packed_ring", "ephemeral_encryption",
    )
}  # fmt: skip
for _what in ("cpu", "memory", "disk_io", "vif"):
    _KNOWN[f"quota:{_what}_limit"] = _KNOWN[f"quota:{_what}_shares_share"] = _COUNT
    _KNOWN[f"quota:{_what}_reservation"] = _INTEGER
    _KNOWN[f"quota:{_what}_shares_level"] = _words("custom", "high", "normal", "low")
_KNOWN |= {f"quota:disk_{way}_{what}_sec": _COUNT for way in ("read", "write", "total") for what in ("bytes", "iops")}
_KNOWN |= {
    f"quota:vif_{way}_{what}": _COUNT for way in ("inbound", "outbound") for what in ("average", "peak", "burst")
}

_CAPABILITIES = (
    "id|uuid|service_id|host|vcpus|memory_mb|local_gb|vcpus_used|memory_mb_used|local_gb_used|hypervisor_type|"
    "hypervisor_version|hypervisor_hostname|free_ram_mb|free_disk_gb|current_workload|running_vms|"
    "disk_available_least|host_ip|mapped|cpu_allocation_ratio|ram_allocation_ratio|disk_allocation_ratio|"
    "total_usable_ram_mb|total_usable_disk_gb|disk_mb_used|free_disk_mb|vcpus_total|num_instances|num_io_ops|"
    "failed_builds|aggregates|cell_uuid|updated|"
    r"(?:cpu_info|metrics|stats|numa_topology|supported_hv_specs|pci_device_pools|nodename|pci_stats|"
    r"supported_instances|limits|instances)(:\w+)*"
)
_SHAPES: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (re.compile(r"hw:numa_cpus\.\d+"), _CPUS),
    (re.compile(r"hw:numa_mem\.\d+"), _POSITIVE),
    (re.compile(r"aggregate_instance_extra_specs:.+"), _ANY),
    (re.compile(f"capabilities:(?:{_CAPABILITIES})"), _ANY),
    (re.compile(r"resources[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+"), _INTEGER),
    (re.compile(r"trait[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+"), _PRESENCE),
)
_NAMESPACES = re.compile(
    "accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware|"
    "(?:resources|trait)[a-zA-Z0-9_-]{0,64}"
)


def check(name: str, value: str) -> None:
    """Raise BadRequest for a key of a known namespace that is not known, and for a value that a key cannot have."""
    pattern = _KNOWN.get(name)
    if pattern is None:
        pattern = next((values for names, values in _SHAPES if names.fullmatch(name)), None)
    if pattern is None:
        namespace, colon, _ = name.partition(":")
        if colon and _NAMESPACES.fullmatch(namespace):
            raise BadRequest(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.")
        return
    if not pattern.fullmatch(value):
        raise BadRequest(f"Validation failed; '{value}' is not a value that extra spec '{name}' can have.")
