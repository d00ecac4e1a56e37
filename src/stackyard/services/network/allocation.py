"""Giving out addresses, inside the transaction that makes the port.

A free address is found by a few random draws from the subnet's pools, each one look-up in an index; in a nearly full
subnet, by reading what is taken in order from a random place until there is a gap. The primary key (subnet, address)
has the last word: of two transactions that draw the same address one is run again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
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


def first_gap(taken: Sequence[int], start: int, end: int) -> int | None:
    """The lowest address from `start` to `end` that is not in `taken` (sorted, none below `start`)."""
    expected = start
    for address in taken:
        if address != expected:
            break
        expected += 1
    return expected if expected <= end else None


def free_address(
    tx: Transaction, space: Space, held: frozenset[str] = frozenset(), *, lowest: bool = False
) -> str | None:
    """An address that nobody has, None when there is none. `held` are addresses of this same change to leave out.

    `lowest` asks for the first free one instead of any.
    """
    if lowest:
        return _by_gap(tx, space, space.pools, held)
    count = size(space.pools)
    if not count:
        return None
    drawn = {key_of(draw(space.pools, secrets.randbelow(count)), space.version) for _ in range(DRAWS)}
    taken = set(tx.connection.execute(_TAKEN, {"subnet": space.subnet_id, "keys": list(drawn)}).scalars())
    for key in drawn - taken:
        found = text_of(int(key, 16), space.version)
        if found not in held:
            return found
    if count <= sum(_count(tx, space, pool) for pool in space.pools):
        return None
    return _by_gap(tx, space, list(_rotated(space.pools, secrets.randbelow(count))), held)


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


def _by_gap(tx: Transaction, space: Space, pools: Sequence[Pool], held: frozenset[str]) -> str | None:
    for start, end in pools:
        begin = start
        while begin <= end:
            first, last = key_of(begin, space.version), key_of(end, space.version)
            rows = tx.connection.execute(_IN_ORDER, {"subnet": space.subnet_id, "first": first, "last": last}).scalars()
            taken = [int(key, 16) for key in rows]
            gap = first_gap(taken, begin, end)
            if gap is None:
                break
            # Past a full chunk without a gap nothing is known yet.
            unknown = len(taken) == _CHUNK and gap > taken[-1]
            found = text_of(gap, space.version)
            if not unknown and found not in held:
                return found
            begin = gap if unknown else gap + 1
    return None


def holder(tx: Transaction, subnet_id: str, address: int, version: int) -> str | None:
    """The port that has an address."""
    found: str | None = tx.scalar(_HOLDER, {"subnet": subnet_id, "key": key_of(address, version)})
    return found


def take(tx: Transaction, port_id: str, addresses: Sequence[tuple[str, int, str]]) -> None:
    """Give a port addresses: (subnet id, number, text) each. A collision raises IntegrityError: run again."""
    if addresses:
        rows = [
            {
                "subnet_id": subnet_id,
                "ip_key": key_of(number, 6 if ":" in text else 4),
                "ip_address": text,
                "port_id": port_id,
            }
            for subnet_id, number, text in addresses
        ]
        tx.execute(_INSERT, rows)


def give_back(tx: Transaction, port_id: str, subnet_id: str, address: str) -> None:
    """Take an address from a port."""
    tx.execute(_FREE, {"port": port_id, "subnet": subnet_id, "ip": address})
