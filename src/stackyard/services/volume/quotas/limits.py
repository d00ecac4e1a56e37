"""The limits in force, by the names that the API shows: `gigabytes`, and `gigabytes_<type's name>` for each type."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import quota
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.quota import DEFAULTS, UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.volume.fields import MAX_INT
from stackyard.services.volume.quotas.usage import OF_TYPES, PREFIX
from stackyard.services.volume.types import finding

RESOURCES = ("volumes", "per_volume_gigabytes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups")

_LIMITS = sa.select(quota.limits.c.resource, quota.limits.c.hard_limit).where(
    quota.limits.c.project_id == bindparam("project"), quota.limits.c.resource.like(f"{PREFIX}%")
)
_USAGES = sa.select(quota.usages.c.resource, quota.usages.c.in_use).where(
    quota.usages.c.project_id == bindparam("project"), quota.usages.c.resource.like(f"{PREFIX}%")
)


def names(tx: Transaction) -> dict[str, str]:
    """Every name that the API shows, with the resource's own: `gigabytes_fast` -> `volume.gigabytes:<type's id>`."""
    found = {name: PREFIX + name for name in RESOURCES}
    for type_id, kind in finding.rows(tx).items():
        found |= {f"{name}_{kind.name}": f"{PREFIX}{name}:{type_id}" for name in OF_TYPES}
    return found


def kept(tx: Transaction, project_id: str) -> dict[str, int]:
    """The limits that are kept under a project's id (or DEFAULTS, or a class's key), by the resource's own name."""
    return {row.resource: int(row.hard_limit) for row in tx.all(_LIMITS, {"project": project_id})}


def in_force(tx: Transaction, runtime: Runtime, project_id: str | None) -> dict[str, int]:
    """A project's limits by the API's names; those of projects without their own for None."""
    found = kept(tx, DEFAULTS) | ({} if project_id is None else kept(tx, project_id))
    defaults = runtime.quotas.defaults
    return {name: found.get(own, defaults.get(own, UNLIMITED)) for name, own in names(tx).items()}


def in_use(tx: Transaction, project_id: str) -> dict[str, int]:
    """What a project has, by the API's names."""
    found = {row.resource: int(row.in_use) for row in tx.all(_USAGES, {"project": project_id})}
    return {name: found.get(own, 0) for name, own in names(tx).items()}


def given(tx: Transaction, body: Any, envelope: str) -> dict[str, int]:
    """The limits that a request sets: whole numbers from -1, also as text, of names that there are; raises 400s."""
    inside = body.get(envelope)
    if len(body) != 1 or not isinstance(inside, dict) or not inside:
        raise InvalidField(envelope, f"expected an object with the one key '{envelope}', an object that is not empty")
    wanted = {name: value for name, value in inside.items() if name not in ("tenant_id", "id")}
    unknown = sorted(set(wanted) - set(names(tx)))
    if unknown:
        raise InvalidField(envelope, f"Bad key(s) in quota set: {', '.join(unknown)[:255]}")
    return {name: _limit(f"{envelope}.{name}", value) for name, value in wanted.items()}


def _limit(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(str(value)[:20])
    except ValueError:
        raise InvalidField(name, f"'{str(value)[:80]}' is not a whole number") from None
    if not UNLIMITED <= number <= MAX_INT:
        raise InvalidField(name, f"{number} is not from -1 to {MAX_INT}")
    return number
