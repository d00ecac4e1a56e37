"""A host's resource provider in Placement: what of the host may be promised to servers."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import HostCapacity
from stackyard.services.compute.hosts import traits
from stackyard.services.placement import api as placement_api
from stackyard.services.placement.api import Inventory

DISABLED = "COMPUTE_STATUS_DISABLED"
"""The trait that keeps Placement's other clients from a host that an administrator has disabled."""


def provide(tx: Transaction, runtime: Runtime, row: Any, found: HostCapacity) -> None:
    """Have the provider of a host (a row of `hosts.rows`) say what the host has.

    Ratios that an administrator has given it stay: the settings are those of a new host.
    """
    settings = runtime.settings.compute
    before = placement_api.usages(tx, [row.id]).get(row.id, {})
    has = {
        "VCPU": (found.vcpus, 0, settings.cpu_allocation_ratio),
        "MEMORY_MB": (found.memory, settings.reserved_host_memory, settings.ram_allocation_ratio),
        "DISK_GB": (found.disk, settings.reserved_host_disk, settings.disk_allocation_ratio),
    }
    inventories = {
        name: Inventory(
            total=total,
            reserved=min(reserved, total),
            ratio=before[name].ratio if name in before else ratio,
            max_unit=total,
        )
        for name, (total, reserved, ratio) in has.items()
        if total > 0
    }
    has_traits = traits.of_capacity(found) | ({DISABLED} if row.disabled else set())
    placement_api.ensure_provider(tx, uuid=row.id, name=row.host, inventories=inventories, traits=has_traits)
