"""Hosts as a decision sees them: what they are, and what of them is free now."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stackyard.services.compute.scheduler.request import DISK, MEMORY, VCPU

RANKINGS_KEPT = 16
"""Kinds of requests whose hosts are kept in order."""


class Stock(NamedTuple):
    """What a host has of a resource class, of which `capacity` (the ratio counted in) may be taken."""

    capacity: float
    min_unit: int = 1
    max_unit: int = 2**31 - 1
    step_size: int = 1


@dataclass(slots=True, eq=False)
class HostState:
    """One host. `number` is its place in the snapshot; `score` grows with what is free, and says who comes first."""

    name: str
    provider: str
    zone: str
    aggregates: tuple[Mapping[str, Any], ...] = ()
    traits: frozenset[str] = frozenset()
    architecture: str = "x86_64"
    hypervisor: str = "QEMU"
    hypervisor_version: int = 0
    kinds: tuple[str, ...] = ("machine",)
    address: str = ""
    enabled: bool = True
    up: bool = True
    stock: Mapping[str, Stock] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    free: dict[str, float] = field(default_factory=dict)
    number: int = 0
    score: float = 0.0

    def fits(self, resources: Mapping[str, int]) -> bool:
        """Whether all of it is free here."""
        free = self.free
        for name, amount in resources.items():
            if free.get(name, 0) < amount or not self.gives(name, amount):
                return False
        return True

    def gives(self, name: str, amount: int) -> bool:
        """Whether the inventory gives such an amount at a time."""
        stock = self.stock.get(name)
        return stock is not None and stock.min_unit <= amount <= stock.max_unit and amount % stock.step_size == 0


class Ranking:
    """The hosts that will do for one kind of request, those with most free first; hosts of one score by their names."""

    __slots__ = ("_key", "order")

    def __init__(self, hosts: Iterable[HostState]) -> None:
        self._key = {host.number: -host.score for host in hosts}
        self.order: list[tuple[float, int]] = sorted((key, number) for number, key in self._key.items())

    def __contains__(self, number: int) -> bool:
        return number in self._key

    def moved(self, host: HostState) -> None:
        """A host's score is another now."""
        old = self._key.get(host.number)
        if old is None or old == -host.score:
            return
        del self.order[bisect_left(self.order, (old, host.number))]
        insort(self.order, (-host.score, host.number))
        self._key[host.number] = -host.score


class Snapshot:
    """All hosts at one moment. What a host uses may be brought up to date; for anything else there is a new one."""

    def __init__(self, hosts: Iterable[HostState]) -> None:
        self.hosts: Sequence[HostState] = sorted(hosts, key=lambda host: host.name)
        self.by_name = {host.name: host for host in self.hosts}
        self.by_provider = {host.provider: host for host in self.hosts}
        self.metadata_keys = frozenset(key for host in self.hosts for metadata in host.aggregates for key in metadata)
        """Every key that an aggregate of one of the hosts has in its metadata."""
        self._largest = [
            (name, max((host.stock[name].capacity for host in self.hosts if name in host.stock), default=0.0) or 1.0)
            for name in (MEMORY, VCPU, DISK)
        ]
        self._rankings: OrderedDict[Hashable, Ranking] = OrderedDict()
        for number, host in enumerate(self.hosts):
            host.number = number
            self._weigh(host)

    def _weigh(self, host: HostState) -> None:
        host.free = {name: stock.capacity - host.used.get(name, 0) for name, stock in host.stock.items()}
        # Free memory, CPUs and disk count alike, each as a part of the largest host's, as Nova's weighers have it.
        host.score = sum(host.free.get(name, 0) / largest for name, largest in self._largest)

    def use(self, provider: str, used: Mapping[str, int]) -> None:
        """What a host uses of some resource classes now."""
        host = self.by_provider.get(provider)
        if host is None:
            return
        host.used |= used
        self._weigh(host)
        for ranking in self._rankings.values():
            ranking.moved(host)

    def ranking(self, key: Hashable) -> Ranking | None:
        """The ranking kept under a key."""
        found = self._rankings.get(key)
        if found is not None:
            self._rankings.move_to_end(key)
        return found

    def keep(self, key: Hashable, hosts: Iterable[HostState]) -> Ranking:
        """Rank hosts, and keep that under a key."""
        ranking = self._rankings[key] = Ranking(hosts)
        if len(self._rankings) > RANKINGS_KEPT:
            self._rankings.popitem(last=False)
        return ranking

    def drop_rankings(self) -> None:
        """A host was found not to be as it was taken to be."""
        self._rankings.clear()
