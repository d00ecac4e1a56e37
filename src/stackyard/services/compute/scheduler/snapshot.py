"""The hosts as the database has them, remembered between decisions.

What hosts are (zones, traits, aggregates) is read again when it changed, and every FRESH_SECONDS; what of them is used
is brought up to date before each decision, by what changed since the last one. What is remembered may be wrong all the
same, for what other processes do meanwhile: a claim and a look at the chosen host in the decision's own transaction
have the last word (placing.py), and nobody is refused but on what was just read.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from stackyard.core.db import Database, Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute import hosts, zones
from stackyard.services.compute.scheduler.hosts import HostState, Snapshot, Stock
from stackyard.services.compute.tables import aggregate_hosts, aggregates
from stackyard.services.compute.tables.hosts import AGGREGATES
from stackyard.services.placement import api as placement

FRESH_SECONDS = 5.0

_AGGREGATES = (
    sa.select(aggregate_hosts.c.host, aggregates.c.id, aggregates.c.metadata)
    .join_from(aggregate_hosts, aggregates)
    .order_by(aggregates.c.id)
)


class Remembered:
    """The snapshot of one database, kept by this process; used under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._snapshot: Snapshot | None = None
        self._shape: tuple[int, int] | None = None
        self._read_at: datetime | None = None
        self._read_in: tuple[int, datetime] | None = None
        self._seen: datetime | None = None
        self._unsure: set[str] = set()

    def current(self, tx: Transaction, runtime: Runtime) -> Snapshot:
        """The snapshot, brought up to date."""
        shape = _shape(tx)
        snapshot = self._snapshot
        if snapshot is None or shape != self._shape or self._is_old(tx.now):
            return self.reload(tx, runtime)
        self._catch_up(tx, snapshot)
        return snapshot

    def _is_old(self, now: datetime) -> bool:
        return self._read_at is None or not timedelta(0) <= now - self._read_at < timedelta(seconds=FRESH_SECONDS)

    def reload(self, tx: Transaction, runtime: Runtime) -> Snapshot:
        """Everything anew."""
        self._shape = _shape(tx)
        snapshot = self._snapshot = read(tx, runtime)
        self._read_at = self._seen = tx.now
        self._read_in = (id(tx), tx.now)
        self._unsure = set(placement.changed_since(tx, tx.now))
        return snapshot

    def is_just_read(self, tx: Transaction) -> bool:
        """Whether all of it was read in this very transaction."""
        return self._read_in == (id(tx), tx.now)

    def _catch_up(self, tx: Transaction, snapshot: Snapshot) -> None:
        """Take over what changed; what this transaction itself wrote is read again, for it may be rolled back."""
        changed = placement.changed_since(tx, self._seen or tx.now)
        again = self._unsure - changed.keys()
        read_again = placement.used_of(tx, again) if again else {}
        for provider, used in (changed | read_again).items():
            snapshot.use(provider, used)
        self._seen = max(tx.now, self._seen or tx.now)
        self._unsure = set(changed)

    def again(self, tx: Transaction, provider: str) -> None:
        """One host's use is not what it was taken to be."""
        if self._snapshot is not None:
            for name, used in placement.used_of(tx, {provider}).items():
                self._snapshot.use(name, used)

    def is_out(self, host: HostState, *, enabled: bool, up: bool) -> None:
        """A host was found disabled or down."""
        host.enabled, host.up = enabled, up
        if self._snapshot is not None:
            self._snapshot.drop_rankings()


_remembered: WeakKeyDictionary[Database, Remembered] = WeakKeyDictionary()


def remembered(tx: Transaction) -> Remembered:
    """What this process remembers of the transaction's database."""
    found = _remembered.get(tx.database)
    return found if found is not None else _remembered.setdefault(tx.database, Remembered())


def _shape(tx: Transaction) -> tuple[int, int]:
    return placement.shape(tx), AGGREGATES.current(tx)


def read(tx: Transaction, runtime: Runtime) -> Snapshot:
    """All hosts that are providers, with what is free of them."""
    stocks, used = _stocks(tx)
    traits = placement.traits(tx)
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    metadata: dict[int, Mapping[str, Any]] = {}
    for row in tx.all(_AGGREGATES):
        groups[row.host].append(metadata.setdefault(row.id, row.metadata))
    in_zones, default = zones.of_hosts(tx), zones.default(runtime)
    found = []
    for row in hosts.rows(tx):
        has: Mapping[str, Any] = row.capacity
        state = HostState(
            name=row.host,
            provider=row.id,
            zone=in_zones.get(row.host, default),
            aggregates=tuple(groups.get(row.host, ())),
            traits=traits.get(row.id, frozenset()),
            architecture=has.get("architecture", ""),
            hypervisor=has.get("hypervisor", ""),
            hypervisor_version=has.get("version", 0),
            kinds=tuple(has.get("kinds", ())),
            address=row.address,
            enabled=not row.disabled,
            up=hosts.is_up(row, tx.now),
            stock=stocks.get(row.id, {}),
            used=used.get(row.id, {}),
        )
        found.append(state)
    return Snapshot(found)


def _stocks(tx: Transaction) -> tuple[dict[str, dict[str, Stock]], dict[str, dict[str, int]]]:
    stocks: dict[str, dict[str, Stock]] = defaultdict(dict)
    used: dict[str, dict[str, int]] = defaultdict(dict)
    known: dict[tuple[Any, ...], Stock] = {}
    for provider, name, taken, *limits in placement.stocks(tx):
        key = tuple(limits)
        stock = known.get(key)
        if stock is None:
            total, reserved, ratio, smallest, largest, step = limits
            stock = known[key] = Stock((total - reserved) * ratio, smallest, largest, step)
        stocks[provider][name] = stock
        used[provider][name] = taken
    return stocks, used
