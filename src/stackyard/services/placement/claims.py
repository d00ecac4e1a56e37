"""Changing what consumers hold: checked against inventories, and all of it in the transaction that asks for it.

Two that claim the same inventory at once cannot both be let in: SQLite has one writer, and PostgreSQL lets the second
run again, on what the first one left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, Conflict, NotFound
from stackyard.services.placement.faults import CONCURRENT_UPDATE, UNDEFINED
from stackyard.services.placement.tables import allocations, consumers, inventories, providers

Resources = Mapping[str, Mapping[str, int]]
"""By provider: how much of each resource class."""

_inventory, _held = inventories.c, allocations.c
_HELD = sa.select(_held.consumer, _held.provider, _held.resource_class, _held.used).where(
    _held.consumer.in_(bindparam("keys", expanding=True))
)
_INVENTORIES = (
    sa.select(inventories, providers.c.uuid)
    .select_from(providers.outerjoin(inventories, providers.c.uuid == _inventory.provider))
    .where(providers.c.uuid.in_(bindparam("keys", expanding=True)))
)
_USE = (
    sa.update(inventories)
    .where(_inventory.provider == bindparam("at_provider"), _inventory.resource_class == bindparam("of_class"))
    .values(used=_inventory.used + bindparam("more"), used_at=bindparam("at"))
)
_CHANGED = (
    sa.update(providers)
    .where(providers.c.uuid.in_(bindparam("keys", expanding=True)))
    .values(generation=providers.c.generation + 1, updated_at=bindparam("at"))
)
_DROP = sa.delete(allocations).where(_held.consumer.in_(bindparam("keys", expanding=True)))
_MOVE = sa.update(allocations).where(_held.consumer == bindparam("key")).values(consumer=bindparam("new"))
_ADD = sa.insert(allocations)
_CONSUMERS = sa.select(consumers).where(consumers.c.uuid.in_(bindparam("keys", expanding=True)))
_NEW_CONSUMER = sa.insert(consumers)
_FORGET = sa.delete(consumers).where(consumers.c.uuid.in_(bindparam("keys", expanding=True)))
_UPDATE_CONSUMER = (
    sa.update(consumers)
    .where(consumers.c.uuid == bindparam("key"))
    .values(
        project_id=bindparam("new_project"),
        user_id=bindparam("new_user"),
        consumer_type=bindparam("new_type"),
        generation=consumers.c.generation + 1,
        updated_at=bindparam("at"),
    )
)

ANY_GENERATION = object()
"""The asker does not say which generation of the consumer he has seen."""


class DoesNotFit(Conflict):
    """An inventory has not enough left, or does not give such an amount, or there is none."""

    def __init__(self, message: str, *, provider: str, resource_class: str) -> None:
        super().__init__(f"Unable to allocate inventory: {message}", kind=UNDEFINED)
        self.provider = provider
        self.resource_class = resource_class


class UnknownProvider(NotFound):
    """An allocation names a provider that does not exist."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a consumer shall hold instead of all that it holds; nothing, and it is forgotten.

    `consumer_type` None leaves the type of a consumer that is there already. `generation` the one that the asker has
    seen; None for a consumer that must be new.
    """

    resources: Resources
    project_id: str
    user_id: str
    consumer_type: str | None = None
    generation: object = field(default=ANY_GENERATION)


def replace(tx: Transaction, wanted: Mapping[str, Wanted]) -> None:
    """Have each consumer hold what is wanted, all or nothing.

    Raises DoesNotFit, UnknownProvider, and Conflict (placement.concurrent_update) for another generation.
    """
    known = {row.uuid: row for row in tx.all(_CONSUMERS, {"keys": list(wanted)})}
    for consumer, want in wanted.items():
        _check_generation(known.get(consumer), want)
    held = tx.all(_HELD, {"keys": list(known)}) if known else []
    more: Counter[tuple[str, str]] = Counter()
    for row in held:
        more[row.provider, row.resource_class] -= row.used
    for want in wanted.values():
        for provider, resources in want.resources.items():
            for resource_class, amount in resources.items():
                more[provider, resource_class] += amount
    _check(tx, wanted, more)
    if held:
        tx.execute(_DROP, {"keys": list(known)})
    changed = [
        {"at_provider": provider, "of_class": resource_class, "more": amount, "at": tx.now}
        for (provider, resource_class), amount in sorted(more.items())
        if amount
    ]
    if changed:
        tx.execute(_USE, changed)
    _write(tx, wanted)
    seen = {provider for want in wanted.values() for provider in want.resources}
    seen |= {row.provider for row in held if not wanted[row.consumer].resources}
    if seen:
        tx.execute(_CHANGED, {"keys": sorted(seen), "at": tx.now})
    _keep_consumers(tx, wanted, known)


def release(tx: Transaction, consumer_ids: Iterable[str]) -> bool:
    """Have consumers hold nothing any more; whether one of them held anything. Providers' generations stay.

    So it is in Placement: who only gives back is never in anybody's way.
    """
    keys = list(consumer_ids)
    held = tx.all(_HELD, {"keys": keys})
    if not held:
        return False
    less: Counter[tuple[str, str]] = Counter()
    for row in held:
        less[row.provider, row.resource_class] += row.used
    tx.execute(
        _USE,
        [
            {"at_provider": provider, "of_class": resource_class, "more": -amount, "at": tx.now}
            for (provider, resource_class), amount in sorted(less.items())
        ],
    )
    tx.execute(_DROP, {"keys": keys})
    tx.execute(_FORGET, {"keys": keys})
    return True


def transfer(tx: Transaction, consumer: str, to: str, consumer_type: str) -> None:
    """Have `to` hold what `consumer` holds, under this type of consumer; nothing happens when that is nothing."""
    row = tx.first(_CONSUMERS, {"keys": [consumer]})
    if row is None:
        return
    tx.execute(_MOVE, {"key": consumer, "new": to})
    tx.execute(_FORGET, {"keys": [consumer]})
    new = {"uuid": to, "project_id": row.project_id, "user_id": row.user_id, "consumer_type": consumer_type}
    tx.execute(_NEW_CONSUMER, new | {"generation": 1, "created_at": tx.now, "updated_at": tx.now})


def _check_generation(row: Any, want: Wanted) -> None:
    if want.generation is ANY_GENERATION:
        return
    expected = None if row is None else row.generation
    if want.generation != expected:
        shown, given = ("null" if value is None else value for value in (expected, want.generation))
        raise Conflict(f"consumer generation conflict - expected {shown} but got {given}", kind=CONCURRENT_UPDATE)


def _check(tx: Transaction, wanted: Mapping[str, Wanted], more: Counter[tuple[str, str]]) -> None:
    asked = sorted({provider for want in wanted.values() for provider in want.resources})
    if not asked:
        return
    there: set[str] = set()
    rows: dict[tuple[str, str], Any] = {}
    for row in tx.all(_INVENTORIES, {"keys": asked}):
        there.add(row.uuid)
        rows[row.uuid, row.resource_class] = row
    for provider in asked:
        if provider not in there:
            raise UnknownProvider(f"Allocation for resource provider '{provider}' that does not exist.")
    for want in wanted.values():
        for provider, resources in want.resources.items():
            for resource_class, amount in resources.items():
                _check_amount(rows.get((provider, resource_class)), provider, resource_class, amount)
    for (provider, resource_class), amount in more.items():
        # What is over its capacity already may stay so, as long as it does not get worse.
        if amount > 0 and rows[provider, resource_class].used + amount > capacity(rows[provider, resource_class]):
            raise _refused(provider, resource_class, "The requested amount would exceed the capacity.")


def capacity(row: Any) -> float:
    """How much of an inventory may be allocated in all."""
    return float((row.total - row.reserved) * row.allocation_ratio)


def _check_amount(row: Any, provider: str, resource_class: str, amount: int) -> None:
    if row is None:
        text = f"Inventory for '{resource_class}' on resource provider '{provider}' invalid."
        raise DoesNotFit(text, provider=provider, resource_class=resource_class)
    if not row.min_unit <= amount <= row.max_unit or amount % row.step_size:
        raise _refused(provider, resource_class, "The requested amount would violate inventory constraints.")


def _refused(provider: str, resource_class: str, why: str) -> ApiError:
    text = f"Unable to create allocation for '{resource_class}' on resource provider '{provider}'. {why}"
    return DoesNotFit(text, provider=provider, resource_class=resource_class)


def _write(tx: Transaction, wanted: Mapping[str, Wanted]) -> None:
    rows = [
        {"consumer": consumer, "provider": provider, "resource_class": name, "used": amount, "created_at": tx.now}
        for consumer, want in wanted.items()
        for provider, resources in want.resources.items()
        for name, amount in resources.items()
    ]
    if rows:
        tx.execute(_ADD, rows)


def _keep_consumers(tx: Transaction, wanted: Mapping[str, Wanted], known: Mapping[str, Any]) -> None:
    gone = [consumer for consumer, want in wanted.items() if not want.resources and consumer in known]
    if gone:
        tx.execute(_FORGET, {"keys": gone})
    new, changed = [], []
    for consumer, want in wanted.items():
        row = known.get(consumer)
        if not want.resources:
            continue
        if row is None:
            new.append(
                {
                    "uuid": consumer, "project_id": want.project_id, "user_id": want.user_id,
                    "consumer_type": want.consumer_type, "generation": 1, "created_at": tx.now, "updated_at": tx.now,
                }
            )  # fmt: skip
        else:
            kind = want.consumer_type or row.consumer_type
            changed.append(
                {
                    "key": consumer, "new_project": want.project_id, "new_user": want.user_id, "new_type": kind,
                    "at": tx.now,
                }
            )  # fmt: skip
    if new:
        tx.execute(_NEW_CONSUMER, new)
    if changed:
        tx.execute(_UPDATE_CONSUMER, changed)
