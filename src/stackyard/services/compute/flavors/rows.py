"""Flavors' rows: who may see which, what a server keeps of its own, and those that every new cloud has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.compute.faults import not_found
from stackyard.services.compute.tables import flavor_projects, flavors

_OPEN_TO_PROJECT = sa.exists().where(
    flavor_projects.c.flavor_id == flavors.c.id, flavor_projects.c.project_id == bindparam("project")
)
VISIBLE = sa.or_(flavors.c.is_public, _OPEN_TO_PROJECT)
"""The flavors that the parameter `project` may use."""

BY_ID = sa.select(flavors).where(flavors.c.flavorid == bindparam("key"))
_VISIBLE_BY_ID = BY_ID.where(VISIBLE)
_INSERT = sa.insert(flavors)
_COUNT = sa.select(sa.func.count()).select_from(flavors)

# DevStack's, in its order: id, name, MB of memory, GB of disk, CPUs
_SEEDED = (
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 20, 1),
    ("3", "m1.medium", 4096, 40, 2),
    ("4", "m1.large", 8192, 80, 4),
    ("5", "m1.xlarge", 16384, 160, 8),
    ("42", "m1.nano", 192, 1, 1),
    ("84", "m1.micro", 256, 1, 1),
    ("c1", "cirros256", 256, 1, 1),
    ("d1", "ds512M", 512, 5, 1),
    ("d2", "ds1G", 1024, 10, 1),
    ("d3", "ds2G", 2048, 10, 2),
    ("d4", "ds4G", 4096, 20, 4),
)


def find(tx: Transaction, call: Call, flavor_id: str) -> Any:
    """A flavor that the caller may use, by the id that the API shows; raises FlavorNotFound.

    Its columns are attributes (`memory_mb`, `vcpus`, `root_gb`, `extra_specs`, ...); `snapshot` makes of them what a
    server keeps.
    """
    if call.caller.is_admin:
        row = tx.first(BY_ID, {"key": flavor_id})
    else:
        row = tx.first(_VISIBLE_BY_ID, {"key": flavor_id, "project": call.caller.project_id})
    if row is None:
        raise not_found("Flavor", flavor_id)
    return row


def snapshot(row: Any, extra_specs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a server remembers of its flavor, which may be changed or deleted after; `extra_specs` None: its own."""
    return {
        "flavorid": row.flavorid,
        "name": row.name,
        "vcpus": row.vcpus,
        "ram": row.memory_mb,
        "disk": row.root_gb,
        "ephemeral": row.ephemeral_gb,
        "swap": row.swap,
        "rxtx_factor": row.rxtx_factor,
        "extra_specs": dict(row.extra_specs if extra_specs is None else extra_specs),
    }


def insert(tx: Transaction, **values: Any) -> Any:
    """Write a flavor down, with Nova's defaults for what is not given; its row."""
    row = {
        "id": ids.new_uuid(), "flavorid": ids.new_uuid(), "description": None, "ephemeral_gb": 0, "swap": 0,
        "rxtx_factor": 1.0, "vcpu_weight": 0, "disabled": False, "is_public": True, "extra_specs": {},
        "created_at": tx.now, "updated_at": None,
    } | values  # fmt: skip
    tx.execute(_INSERT, row)
    return tx.first(BY_ID, {"key": row["flavorid"]})


def seed(tx: Transaction) -> None:
    """Make DevStack's flavors in a cloud that has none."""
    if tx.scalar(_COUNT):
        return
    for flavorid, name, memory, disk, vcpus in _SEEDED:
        specs = {"hw_rng:allowed": "True"}
        insert(tx, flavorid=flavorid, name=name, memory_mb=memory, root_gb=disk, vcpus=vcpus, extra_specs=specs)
