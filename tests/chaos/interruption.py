"""Work that a `kill -9` interrupts at a moment, and what is compared before and after."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable

from tests.chaos.world import Client, Gone, World

WORKERS = 4


def interrupted(world: World, moment: float, act: Callable[[Client, int], str | None], count: int) -> set[str]:
    """Does `act` for each number below `count` over a few connections, kills the cloud meanwhile and starts it again.

    Returns what the cloud had accepted.
    """
    clients = [world.client() for _ in range(WORKERS)]
    accepted: set[str] = set()

    def some(share: int) -> None:
        try:
            for number in range(share, count, WORKERS):
                done = act(clients[share], number)
                if done:
                    accepted.add(done)
        except Gone:
            return  # killed before it answered: done or not done, both are right

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        shares = [pool.submit(some, share) for share in range(WORKERS)]
        threading.Event().wait(moment)
        world.kill()
        for share in shares:
            share.result()
    for client in clients:
        client.close()
    world.up()
    return accepted


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> str:
    """Where the two differ, in words; empty when they are equal."""
    found = []
    for key, value in before.items():
        if value != after[key]:
            more, less = set(after[key]) - set(value), set(value) - set(after[key])
            found.append(f"{key}: left over {sorted(more)[:5]}, missing {sorted(less)[:5]}")
    return "; ".join(found)[:3000]
