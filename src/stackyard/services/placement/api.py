"""What other services ask of Placement, in their own transaction: providers, claims, and what is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict
from stackyard.services.placement import claims
from stackyard.services.placement.claims import DoesNotFit, Resources, Wanted
from stackyard.services.placement.faults import HAS_CHILDREN, PROVIDER_IN_USE
from stackyard.services.placement.tables import (
    SHAPE,
    allocations,
    consumers,
    inventories,
    provider_aggregates,
    provider_traits,
    providers,
)

__all__ = [
    "DoesNotFit",
    "Inventory",
    "Resources",
    "Usage",
    "Wanted",
    "allocations_of",
    "changed_since",
    "claim",
    "claim_many",
    "consumers_of",
    "ensure_provider",
    "release",
    "remove_provider",
    "set_aggregate",
    "shape",
    "stocks",
    "traits",
    "transfer",
    "usages",
    "used_of",
]

MAX_UNIT = 2**31 - 1


class Inventory(msgspec.Struct, frozen=True):
    """What a provider has of one resource class; at most (total - reserved) * ratio of it may be allocated."""

    total: int
    reserved: int = 0
    ratio: float = 1.0
    min_unit: int = 1
    max_unit: int = MAX_UNIT
    step_size: int = 1


class Usage(msgspec.Struct, frozen=True):
    """What a provider has of a resource class, and how much of it is allocated."""

    total: int
    reserved: int
    ratio: float
    used: int

    @property
    def capacity(self) -> float:
        """How much may be allocated in all."""
        return (self.total - self.reserved) * self.ratio


_PROVIDER = sa.select(providers).where(providers.c.uuid == bindparam("key"))
_INVENTORIES = sa.select(inventories).where(inventories.c.provider == bindparam("key"))
_TRAITS = sa.select(provider_traits.c.trait).where(provider_traits.c.provider == bindparam("key"))
_NEW_PROVIDER = sa.insert(providers)
_RENAME = (
    sa.update(providers)
    .where(providers.c.uuid == bindparam("key"))
    .values(name=bindparam("new_name"), generation=providers.c.generation + 1, updated_at=bindparam("at"))
)
_CHANGED = (
    sa.update(providers)
    .where(providers.c.uuid == bindparam("key"))
    .values(generation=providers.c.generation + 1, updated_at=bindparam("at"))
)
_JOIN = sa.insert(provider_aggregates)
_MEMBER = sa.and_(
    provider_aggregates.c.provider == bindparam("key"), provider_aggregates.c.aggregate == bindparam("aggregate_id")
)
_IN_AGGREGATE = sa.select(provider_aggregates.c.aggregate).where(_MEMBER)
_LEAVE = sa.delete(provider_aggregates).where(_MEMBER)
_NEW_INVENTORY = sa.insert(inventories)
_INVENTORY = (
    sa.update(inventories)
    .where(inventories.c.provider == bindparam("key"), inventories.c.resource_class == bindparam("of_class"))
    .values({name: bindparam(f"new_{name}") for name in
             ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio", "updated_at")})
)  # fmt: skip
_DROP_INVENTORY = sa.delete(inventories).where(
    inventories.c.provider == bindparam("key"), inventories.c.resource_class == bindparam("of_class")
)
_NEW_TRAIT = sa.insert(provider_traits)
_DROP_TRAIT = sa.delete(provider_traits).where(
    provider_traits.c.provider == bindparam("key"), provider_traits.c.trait == bindparam("name")
)
_ALLOCATED = sa.select(allocations.c.consumer).where(allocations.c.provider == bindparam("key")).limit(1)
_CHILD = sa.select(providers.c.uuid).where(providers.c.parent == bindparam("key")).limit(1)
_FORGET = (
    sa.delete(inventories).where(inventories.c.provider == bindparam("key")),
    sa.delete(provider_traits).where(provider_traits.c.provider == bindparam("key")),
    sa.delete(provider_aggregates).where(provider_aggregates.c.provider == bindparam("key")),
    sa.delete(providers).where(providers.c.uuid == bindparam("key")),
)
_OF_CONSUMER = sa.select(allocations).where(allocations.c.consumer == bindparam("key"))
_SERVERS_ON = (
    sa.select(allocations.c.consumer)
    .distinct()
    .join_from(allocations, consumers, consumers.c.uuid == allocations.c.consumer)
    .where(
        allocations.c.provider == bindparam("key"),
        sa.or_(consumers.c.consumer_type.is_(None), consumers.c.consumer_type.in_(("INSTANCE", "MIGRATION"))),
    )
)
_USAGES = sa.select(
    inventories.c.provider,
    inventories.c.resource_class,
    inventories.c.total,
    inventories.c.reserved,
    inventories.c.allocation_ratio,
    inventories.c.used,
)
_i = inventories.c
_USED = sa.select(_i.provider, _i.resource_class, _i.used)
_USED_SINCE = _USED.where(_i.used_at >= bindparam("since"))
_USED_OF = _USED.where(_i.provider.in_(bindparam("keys", expanding=True)))
_STOCKS = sa.select(
    _i.provider,
    _i.resource_class,
    _i.used,
    _i.total,
    _i.reserved,
    _i.allocation_ratio,
    _i.min_unit,
    _i.max_unit,
    _i.step_size,
)
_ALL_TRAITS = sa.select(provider_traits.c.provider, provider_traits.c.trait)
_USAGES_OF = _USAGES.where(inventories.c.provider.in_(bindparam("keys", expanding=True)))


def ensure_provider(
    tx: Transaction,
    *,
    uuid: str,
    name: str,
    inventories: Mapping[str, Inventory],
    traits: Iterable[str] = frozenset(),
    parent: str | None = None,
) -> None:
    """Have a provider be there with these inventories and these traits, and no others; writes only what differs.

    Traits that others gave it (CUSTOM_ ones) stay. Raises Conflict for an inventory to go that is in use.
    """
    row = tx.first(_PROVIDER, {"key": uuid})
    changed = row is None or row.name != name
    if row is None:
        above = None if parent is None else tx.first(_PROVIDER, {"key": parent})
        root = uuid if above is None else above.root
        new = {"uuid": uuid, "name": name, "generation": 0, "parent": parent, "root": root}
        tx.execute(_NEW_PROVIDER, new | {"created_at": tx.now, "updated_at": tx.now})
    changed |= _set_inventories(tx, uuid, inventories)
    changed |= _set_traits(tx, uuid, frozenset(traits))
    if changed:
        tx.execute(_RENAME, {"key": uuid, "new_name": name, "at": tx.now})
        SHAPE.bump(tx)


def _set_inventories(tx: Transaction, uuid: str, wanted: Mapping[str, Inventory]) -> bool:
    there = {row.resource_class: row for row in tx.all(_INVENTORIES, {"key": uuid})}
    changed = False
    for resource_class, want in wanted.items():
        values = {
            "total": want.total, "reserved": want.reserved, "min_unit": want.min_unit, "max_unit": want.max_unit,
            "step_size": want.step_size, "allocation_ratio": want.ratio,
        }  # fmt: skip
        row = there.pop(resource_class, None)
        if row is None:
            key = {"provider": uuid, "resource_class": resource_class, "used": 0, "used_at": tx.now}
            tx.execute(_NEW_INVENTORY, key | values | {"created_at": tx.now, "updated_at": tx.now})
        elif any(getattr(row, column) != value for column, value in values.items()):
            new = {f"new_{column}": value for column, value in values.items()}
            tx.execute(_INVENTORY, {"key": uuid, "of_class": resource_class, "new_updated_at": tx.now, **new})
        else:
            continue
        changed = True
    for resource_class, row in there.items():
        if row.used:
            raise Conflict(f"Inventory for '{resource_class}' on resource provider '{uuid}' in use.")
        tx.execute(_DROP_INVENTORY, {"key": uuid, "of_class": resource_class})
        changed = True
    return changed


def _set_traits(tx: Transaction, uuid: str, wanted: frozenset[str]) -> bool:
    there = {row.trait for row in tx.all(_TRAITS, {"key": uuid})}
    new = sorted(wanted - there)
    gone = sorted(trait for trait in there - wanted if not trait.startswith("CUSTOM_"))
    if new:
        tx.execute(_NEW_TRAIT, [{"provider": uuid, "trait": trait} for trait in new])
    if gone:
        tx.execute(_DROP_TRAIT, [{"key": uuid, "name": trait} for trait in gone])
    return bool(new or gone)


def remove_provider(tx: Transaction, uuid: str) -> None:
    """Have a provider be gone, with all that it has. Raises Conflict when it has allocations or children."""
    if tx.first(_PROVIDER, {"key": uuid}) is None:
        return
    if tx.first(_ALLOCATED, {"key": uuid}) is not None:
        raise Conflict(
            f"Unable to delete resource provider {uuid}: Resource provider has allocations.", kind=PROVIDER_IN_USE
        )
    if tx.first(_CHILD, {"key": uuid}) is not None:
        raise Conflict(
            f"Unable to delete parent resource provider {uuid}: It has child resource providers.", kind=HAS_CHILDREN
        )
    forget(tx, uuid)


def set_aggregate(tx: Transaction, uuid: str, aggregate: str, *, member: bool) -> None:
    """Have a provider be in an aggregate (a UUID), or not; the others that it is in stay."""
    there = tx.first(_IN_AGGREGATE, {"key": uuid, "aggregate_id": aggregate}) is not None
    if there == member or tx.first(_PROVIDER, {"key": uuid}) is None:
        return
    if member:
        tx.execute(_JOIN, {"provider": uuid, "aggregate": aggregate})
    else:
        tx.execute(_LEAVE, {"key": uuid, "aggregate_id": aggregate})
    tx.execute(_CHANGED, {"key": uuid, "at": tx.now})
    SHAPE.bump(tx)


def forget(tx: Transaction, uuid: str) -> None:
    """A provider that nobody uses goes, with its inventories, traits and aggregates."""
    for statement in _FORGET:
        tx.execute(statement, {"key": uuid})
    SHAPE.bump(tx)


def claim(
    tx: Transaction,
    consumer: str,
    *,
    project_id: str,
    user_id: str,
    consumer_type: str = "INSTANCE",
    resources: Resources,
) -> None:
    """Have a consumer hold these resources and no others. Raises DoesNotFit (a Conflict), and nothing is changed."""
    claims.replace(tx, {consumer: Wanted(resources, project_id, user_id, consumer_type)})


def claim_many(tx: Transaction, wanted: Mapping[str, Wanted]) -> None:
    """The same for several consumers at once, all or none."""
    claims.replace(tx, wanted)


def release(tx: Transaction, consumer: str) -> None:
    """Have a consumer hold nothing any more."""
    claims.release(tx, [consumer])


def allocations_of(tx: Transaction, consumer: str) -> dict[str, dict[str, int]]:
    """What a consumer holds: by provider, how much of each resource class."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in tx.all(_OF_CONSUMER, {"key": consumer}):
        found[row.provider][row.resource_class] = row.used
    return dict(found)


def consumers_of(tx: Transaction, provider: str) -> set[str]:
    """Who of INSTANCE or MIGRATION type, or of none that is known, holds anything of a provider."""
    return {str(row.consumer) for row in tx.all(_SERVERS_ON, {"key": provider})}


def usages(tx: Transaction, provider_ids: Iterable[str] | None = None) -> dict[str, dict[str, Usage]]:
    """What providers have, and how much of it is used, by resource class; of all of them unless some are named."""
    found: dict[str, dict[str, Usage]] = defaultdict(dict)
    rows = tx.all(_USAGES) if provider_ids is None else tx.all(_USAGES_OF, {"keys": list(provider_ids)})
    for row in rows:
        found[row.provider][row.resource_class] = Usage(row.total, row.reserved, row.allocation_ratio, row.used)
    return dict(found)


def transfer(tx: Transaction, consumer: str, to: str, *, consumer_type: str) -> None:
    """Have another consumer hold what this one holds; nothing happens when that is nothing."""
    claims.transfer(tx, consumer, to, consumer_type)


def shape(tx: Transaction) -> int:
    """Changes with which providers there are and what they have; not with what of it is used."""
    return SHAPE.current(tx)


def stocks(tx: Transaction) -> Sequence[Any]:
    """All inventories: provider, class, used, total, reserved, ratio, min_unit, max_unit, step_size."""
    return tx.all(_STOCKS)


def traits(tx: Transaction) -> dict[str, frozenset[str]]:
    """The traits of every provider that has any."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in tx.all(_ALL_TRAITS):
        found[row.provider].add(row.trait)
    return {provider: frozenset(names) for provider, names in found.items()}


def changed_since(tx: Transaction, moment: datetime) -> dict[str, dict[str, int]]:
    """What of providers is used, by class, for all inventories whose use changed at this moment or later."""
    return _used(tx.all(_USED_SINCE, {"since": moment}))


def used_of(tx: Transaction, provider_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """What of these providers is used, by class."""
    return _used(tx.all(_USED_OF, {"keys": list(provider_ids)}))


def _used(rows: Iterable[Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for provider, resource_class, used in rows:
        found[provider][resource_class] = used
    return dict(found)
