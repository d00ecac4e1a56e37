"""Rows of signing in by password, and of what a flood of sign-ins does to the validation of tokens."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator

from bench.client import Client
from bench.context import Context
from bench.load import Load
from bench.reads import CLIENTS, TOKEN, headers
from bench.rows import Goal, Row

GOAL = Goal("ratio", ">=", 8)
NAMES = tuple(f"password sign-in, {clients} client{'s' if clients > 1 else ''}" for clients in CLIENTS)
FLOODED = "token validation p99, 16 clients signing in"
FLOODED_GOAL = Goal("ratio", "<=", 0.5)
_FLOOD = 16


def rates(context: Context) -> Iterator[Row]:
    """POST /auth/tokens for a project-scoped token, catalogue and all."""
    runs, seconds = (1, 2) if context.quick else (3, 5)
    for name, clients in zip(NAMES, CLIENTS, strict=True):
        found: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs):
            for client, rate in zip((context.client, context.peer_client), found, strict=True):
                rate.append(_sign_in(client, clients).run(seconds).rate)
        yield Row(name, "req/s", GOAL, statistics.median(found[0]), statistics.median(found[1]))


def flooded(context: Context) -> Iterator[Row]:
    """GET /auth/tokens by one client while others sign in as fast as they can; the note says how it is without them."""
    runs, seconds = (1, 2) if context.quick else (3, 5)
    sides = (context.client, context.peer_client)
    quiet: tuple[list[float], list[float]] = ([], [])
    busy: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for client, calm, slow in zip(sides, quiet, busy, strict=True):
            validation = Load(TOKEN.url(client), headers(client), 1)
            calm.append(validation.run(seconds).p99)
            with _sign_in(client, _FLOOD).meanwhile(10 * seconds):
                slow.append(validation.run(2 * seconds).p99)
    ours, theirs = (statistics.median(one) for one in quiet)
    note = f"p99 without sign-ins: {ours:.3g} ms here, {theirs:.3g} ms there"
    yield Row(FLOODED, "ms", FLOODED_GOAL, statistics.median(busy[0]), statistics.median(busy[1]), note)


def _sign_in(client: Client, clients: int) -> Load:
    body = json.dumps(client.target.password_body())
    return Load(f"{client.target.identity}/auth/tokens", {"Accept": "application/json"}, clients, body)
