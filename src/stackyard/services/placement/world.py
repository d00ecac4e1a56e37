"""All providers at once, for questions that need them side by side: trees, what they have, what is free of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from stackyard.core.db import Transaction
from stackyard.services.placement.queries import Membership, Traits
from stackyard.services.placement.standard import SHARES
from stackyard.services.placement.tables import SHAPE, inventories, provider_aggregates, provider_traits, providers

_PROVIDERS = sa.select(providers.c.uuid, providers.c.parent, providers.c.root).order_by(
    providers.c.created_at, providers.c.uuid
)
_STOCKS = sa.select(
    inventories.c.provider,
    inventories.c.resource_class,
    inventories.c.total,
    inventories.c.reserved,
    inventories.c.allocation_ratio,
    inventories.c.min_unit,
    inventories.c.max_unit,
    inventories.c.step_size,
).order_by(inventories.c.provider, inventories.c.resource_class)
_USED = sa.select(inventories.c.provider, inventories.c.resource_class, inventories.c.used).where(
    inventories.c.used > 0
)
_TRAITS = sa.select(provider_traits.c.provider, provider_traits.c.trait)
_AGGREGATES = sa.select(provider_aggregates.c.provider, provider_aggregates.c.aggregate)


@dataclass(slots=True, frozen=True)
class Stock:
    """An inventory, without what is used of it."""

    capacity: float
    min_unit: int
    max_unit: int
    step_size: int

    def gives(self, amount: int) -> bool:
        """Whether such an amount may be taken at a time."""
        return self.min_unit <= amount <= self.max_unit and amount % self.step_size == 0


@dataclass(slots=True, eq=False)
class Provider:
    """One provider."""

    uuid: str
    parent: str | None
    root: str
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    stock: dict[str, Stock] = field(default_factory=dict)


class Shape:
    """All that does not change when resources are taken or given back."""

    def __init__(self, found: Mapping[str, Provider]) -> None:
        self.providers = found
        self.trees: dict[str, list[Provider]] = defaultdict(list)
        self.members: dict[str, list[Provider]] = defaultdict(list)
        for provider in found.values():
            self.trees[provider.root].append(provider)
            for aggregate in provider.aggregates:
                self.members[aggregate].append(provider)
        self.sharing = [provider for provider in found.values() if SHARES in provider.traits]
        self.is_nested = any(provider.parent is not None for provider in found.values())

    def anchors(self, sharing: Provider) -> set[str]:
        """The roots of the trees that a provider shares with: those with a member in one of its aggregates."""
        return {member.root for aggregate in sharing.aggregates for member in self.members[aggregate]}

    def ancestors(self, uuid: str) -> Iterator[str]:
        """A provider, and all that are above it."""
        one: str | None = uuid
        while one is not None:
            yield one
            one = self.providers[one].parent


@dataclass(slots=True)
class World:
    """The shape, and what is used at this moment."""

    shape: Shape
    used: Mapping[tuple[str, str], int]

    def fits(self, provider: Provider, resource_class: str, amount: int) -> bool:
        """Whether so much of a class may be taken from a provider."""
        stock = provider.stock.get(resource_class)
        if stock is None or not stock.gives(amount):
            return False
        return self.used.get((provider.uuid, resource_class), 0) + amount <= stock.capacity

    def has(self, uuid: str, resources: Mapping[str, int], traits: Traits, members: Membership) -> bool:
        """Whether one provider has all of it by itself."""
        provider = self.shape.providers.get(uuid)
        return (
            provider is not None
            and traits.allow(provider.traits)
            and members.allow(provider.aggregates)
            and all(self.fits(provider, name, amount) for name, amount in resources.items())
        )


def read(tx: Transaction) -> World:
    """Everything; the shape is remembered until it changes."""
    shape = SHAPE.memory(tx).remember(SHAPE.current(tx), "shape", lambda: _read_shape(tx))
    rows = tx.all(_USED)
    return World(shape, {(row.provider, row.resource_class): row.used for row in rows})


def _read_shape(tx: Transaction) -> Shape:
    traits = _sets(tx.all(_TRAITS))
    aggregates = _sets(tx.all(_AGGREGATES))
    found = {}
    for row in tx.all(_PROVIDERS):
        uuid = row.uuid
        found[uuid] = Provider(
            uuid, row.parent, row.root, traits.get(uuid, frozenset()), aggregates.get(uuid, frozenset())
        )
    for row in tx.all(_STOCKS):
        capacity = (row.total - row.reserved) * row.allocation_ratio
        stock = Stock(capacity, row.min_unit, row.max_unit, row.step_size)
        if row.provider in found:
            found[row.provider].stock[row.resource_class] = stock
    return Shape(found)


def _sets(rows: Any) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for provider, name in rows:
        found[provider].add(name)
    return {provider: frozenset(names) for provider, names in found.items()}
