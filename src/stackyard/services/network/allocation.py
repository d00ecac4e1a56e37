"""Giving out addresses, inside the transaction that makes the port.

Free addresses, for one port or for many, are found by random draws from the subnet's pools, looked up together; in a
nearly full subnet, by reading what is taken in order from a random place and filling the gaps. The primary key (subnet,
address) has the last word: of two transactions that draw the same address one is run again.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network.addresses import Pool, key_of, loaded_pools, text_of
from stackyard.services.network.tables import ip_allocations

DRAWS = 6
_CHUNK = 512

_TAKEN = sa.select(ip_allocations.c.ip_key).where(
    ip_allocations.c.subnet_id == bindparam("subnet"), ip_allocations.c.ip_key.in_(bindparam("keys", expanding=True))
)
_HOLDER = sa.select(ip_allocations.c.port_id).where(
    ip_allocations.c.subnet_id == bindparam("subnet"), ip_allocations.c.ip_key == bindparam("key")
)
_WITHIN = sa.and_(
    ip_allocations.c.subnet_id == bindparam("subnet"),
    ip_allocations.c.ip_key >= bindparam("first"),
    ip_allocations.c.ip_key <= bindparam("last"),
)
_COUNT = sa.select(sa.func.count()).select_from(ip_allocations).where(_WITHIN)
_IN_ORDER = sa.select(ip_allocations.c.ip_key).where(_WITHIN).order_by(ip_allocations.c.ip_key).limit(_CHUNK)
_INSERT = sa.insert(ip_allocations)
_FREE = sa.delete(ip_allocations).where(
    ip_allocations.c.port_id == bindparam("port"), ip_allocations.c.subnet_id == bindparam("subnet"),
    ip_allocations.c.ip_address == bindparam("ip"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Space:
    """A subnet as allocation sees it: its id, IP version and pools."""

    subnet_id: str
    version: int
    pools: Sequence[Pool]

    @classmethod
    def of(cls, subnet: Any) -> Space:
        """From a row."""
        return cls(subnet.id, subnet.ip_version, loaded_pools(subnet.allocation_pools))


def draw(pools: Sequence[Pool], number: int) -> int:
    """The `number`-th address of all pools taken together."""
    for start, end in pools:
        if number <= end - start:
            return start + number
        number -= end - start + 1
    raise IndexError("there are not that many addresses")


def size(pools: Sequence[Pool]) -> int:
    """How many addresses the pools have."""
    return sum(end - start + 1 for start, end in pools)


def gaps(taken: Sequence[int], start: int, end: int) -> Iterator[int]:
    """The addresses from `start` to `end` that are not in `taken` (sorted, none below `start`), in order."""
    expected = start
    for address in taken:
        yield from range(expected, min(address, end + 1))
        expected = address + 1
    yield from range(expected, end + 1)


def first_gap(taken: Sequence[int], start: int, end: int) -> int | None:
    """The lowest address from `start` to `end` that is not in `taken` (sorted, none below `start`)."""
    return next(gaps(taken, start, end), None)


def free_address(
    tx: Transaction, space: Space, held: Collection[str] = frozenset(), *, lowest: bool = False
) -> str | None:
    """An address that nobody has, None when there is none; as `free_addresses`."""
    return next(iter(free_addresses(tx, space, 1, held, lowest=lowest)), None)


def free_addresses(
    tx: Transaction, space: Space, count: int, held: Collection[str] = frozenset(), *, lowest: bool = False
) -> list[str]:
    """Up to `count` addresses that nobody has, fewer when there are no more. `held` are addresses of this same change
    to leave out.

    `lowest` asks for the first free ones instead of any.
    """
    if lowest:
        return _by_gap(tx, space, space.pools, count, held)
    number = size(space.pools)
    if not number or not count:
        return []
    if 2 * (count + DRAWS) <= number:
        # Some more than are wanted, so that a few which are taken do not matter.
        drawn = {
            key_of(draw(space.pools, secrets.randbelow(number)), space.version)
            for _ in range(count + DRAWS + count // 4)
        }
        taken = set(tx.connection.execute(_TAKEN, {"subnet": space.subnet_id, "keys": list(drawn)}).scalars())
        free = (text_of(int(key, 16), space.version) for key in drawn - taken)
        found = [text for text in free if text not in held][:count]
        if len(found) == count:
            return found
    if number <= sum(_count(tx, space, pool) for pool in space.pools):
        return []
    return _by_gap(tx, space, list(_rotated(space.pools, secrets.randbelow(number))), count, held)


def _count(tx: Transaction, space: Space, pool: Pool) -> int:
    first, last = (key_of(end, space.version) for end in pool)
    return int(tx.scalar(_COUNT, {"subnet": space.subnet_id, "first": first, "last": last}))


def _rotated(pools: Sequence[Pool], number: int) -> Iterator[Pool]:
    """The same addresses in pools that begin at the `number`-th and come round to it again."""
    begin = draw(pools, number)
    index = next(i for i, (start, end) in enumerate(pools) if start <= begin <= end)
    start, end = pools[index]
    yield (begin, end)
    yield from pools[index + 1 :]
    yield from pools[:index]
    if start < begin:
        yield (start, begin - 1)


def _by_gap(tx: Transaction, space: Space, pools: Sequence[Pool], count: int, held: Collection[str]) -> list[str]:
    found: list[str] = []
    for start, end in pools:
        begin = start
        while begin <= end:
            first, last = key_of(begin, space.version), key_of(end, space.version)
            rows = tx.connection.execute(_IN_ORDER, {"subnet": space.subnet_id, "first": first, "last": last}).scalars()
            taken = [int(key, 16) for key in rows]
            # Past a full chunk nothing is known yet.
            known = taken[-1] if len(taken) == _CHUNK else end
            for address in gaps(taken, begin, known):
                text = text_of(address, space.version)
                if text not in held:
                    found.append(text)
                if len(found) == count:
                    return found
            begin = known + 1
    return found


def holder(tx: Transaction, subnet_id: str, address: int, version: int) -> str | None:
    """The port that has an address."""
    found: str | None = tx.scalar(_HOLDER, {"subnet": subnet_id, "key": key_of(address, version)})
    return found


def take(tx: Transaction, port_id: str, addresses: Sequence[tuple[str, int, str]]) -> None:
    """Give a port addresses: (subnet id, number, text) each. A collision raises IntegrityError: run again."""
    take_all(tx, {port_id: addresses})


def take_all(tx: Transaction, addresses: Mapping[str, Sequence[tuple[str, int, str]]]) -> None:
    """Give many ports addresses at once, by port id."""
    rows = [
        {
            "subnet_id": subnet_id,
            "ip_key": key_of(number, 6 if ":" in text else 4),
            "ip_address": text,
            "port_id": port_id,
        }
        for port_id, chosen in addresses.items()
        for subnet_id, number, text in chosen
    ]
    if rows:
        tx.execute(_INSERT, rows)


def give_back(tx: Transaction, port_id: str, subnet_id: str, address: str) -> None:
    """Take an address from a port."""
    tx.execute(_FREE, {"port": port_id, "subnet": subnet_id, "ip": address})
