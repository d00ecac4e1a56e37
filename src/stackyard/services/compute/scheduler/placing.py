"""From a request to hosts that are claimed in placement, all in the transaction of who asks."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute import hosts
from stackyard.services.compute.scheduler import matching
from stackyard.services.compute.scheduler.decision import decide
from stackyard.services.compute.scheduler.hosts import HostState
from stackyard.services.compute.scheduler.request import Circumstances, NoValidHost, Request
from stackyard.services.compute.scheduler.snapshot import Remembered, remembered
from stackyard.services.compute.tables import server_group_members, server_groups, servers
from stackyard.services.placement import api as placement

ATTEMPTS = 12
"""Hosts that may turn out to be other than they were remembered before everything is read anew."""

MOST_HINTED = 1000
"""Servers that same_host or different_host may name."""

_GROUP = sa.select(server_groups.c.policy, server_groups.c.rules).where(server_groups.c.id == bindparam("key"))
_MATES = (
    sa.select(servers.c.id, servers.c.host)
    .join_from(server_group_members, servers, servers.c.id == server_group_members.c.server_id)
    .where(
        server_group_members.c.group_id == bindparam("key"),
        servers.c.deleted_at.is_(None),
        servers.c.host.is_not(None),
    )
)
_HOSTS_OF = sa.select(servers.c.host).where(
    servers.c.id.in_(bindparam("keys", expanding=True)), servers.c.deleted_at.is_(None), servers.c.host.is_not(None)
)


def place(tx: Transaction, runtime: Runtime, request: Request, server_ids: Sequence[str]) -> list[str]:
    """A host for each server, claimed in placement under the server's id.

    Raises NoValidHost, and nothing is claimed then: not for those either that had found one.
    """
    if request.forced and request.host is not None:
        return _force(tx, request, request.host, server_ids)
    circumstances = _circumstances(tx, request, server_ids)
    there = Counter(circumstances.group_hosts)
    chosen: list[str] = []
    with tx.savepoint() if len(server_ids) > 1 else nullcontext():
        for server_id in server_ids:
            now = msgspec.structs.replace(circumstances, group_hosts=there)
            chosen.append(_place_one(tx, runtime, request, now, server_id))
            there[chosen[-1]] += 1
    return chosen


def _force(tx: Transaction, request: Request, host: str, server_ids: Sequence[str]) -> list[str]:
    """An administrator says where: only what Placement knows of the host is asked, its room and that it is enabled."""
    row = hosts.find(tx, host)
    if row is None or row.disabled:
        why = "There is no such host" if row is None else "It is disabled"
        raise NoValidHost(f"No valid host was found. Host {host} was asked for. {why}.")
    try:
        with tx.savepoint() if len(server_ids) > 1 else nullcontext():
            for server_id in server_ids:
                _claim(tx, row.id, request, server_id)
    except placement.DoesNotFit as error:
        raise NoValidHost(f"No valid host was found. {error.message}") from error
    return [host] * len(server_ids)


def _place_one(
    tx: Transaction, runtime: Runtime, request: Request, circumstances: Circumstances, server_id: str
) -> str:
    """A host that is there, up, and has room, by the last word of the database; claimed."""
    kept = remembered(tx)
    for attempt in range(2 * ATTEMPTS):
        # Not held while claiming: who waits for another transaction's row must not keep that one from going on.
        with kept.lock:
            host = _decide(tx, runtime, kept, request, circumstances, anew=attempt == ATTEMPTS)
        row = hosts.find(tx, host.name)
        enabled, up = row is not None and not row.disabled, row is not None and hosts.is_up(row, tx.now)
        if not (enabled and up):
            with kept.lock:
                kept.is_out(host, enabled=enabled, up=up)
            continue
        try:
            _claim(tx, host.provider, request, server_id)
        except placement.DoesNotFit:
            with kept.lock:
                kept.again(tx, host.provider)
            continue
        return host.name
    raise NoValidHost("No valid host was found. Every host that would do was taken meanwhile; try again.")


def _decide(
    tx: Transaction, runtime: Runtime, kept: Remembered, request: Request, circumstances: Circumstances, *, anew: bool
) -> HostState:
    if not anew:
        try:
            return decide(kept.current(tx, runtime), request, circumstances)
        except NoValidHost:
            if kept.is_just_read(tx):
                raise
    return decide(kept.reload(tx, runtime), request, circumstances)


def claim_on(tx: Transaction, runtime: Runtime, host: str, request: Request, server_id: str) -> None:
    """Claim what a server needs on this host, whatever else speaks against it.

    Raises NoValidHost when there is no such host, or too little is free there.
    """
    del runtime
    row = hosts.find(tx, host)
    if row is None:
        raise NoValidHost(f"No valid host was found. There is no host {host}.")
    try:
        _claim(tx, row.id, request, server_id)
    except placement.DoesNotFit as error:
        raise NoValidHost(f"No valid host was found. {error.message}") from error


def release(tx: Transaction, server_id: str) -> None:
    """Give back what a server (or a move, see `hold`) has claimed."""
    placement.release(tx, server_id)


def hold(tx: Transaction, server_id: str, migration_id: str) -> None:
    """Keep what a server has claimed under the id of its move, so that it can claim anew elsewhere."""
    placement.transfer(tx, server_id, migration_id, consumer_type="MIGRATION")


def revert(tx: Transaction, migration_id: str, server_id: str) -> None:
    """Give a server back what was kept under the id of its move; what it has claimed since is released."""
    placement.release(tx, server_id)
    placement.transfer(tx, migration_id, server_id, consumer_type="INSTANCE")


def _claim(tx: Transaction, provider: str, request: Request, server_id: str) -> None:
    resources = request.resources()
    placement.claim(
        tx,
        server_id,
        project_id=request.project_id,
        user_id=request.user_id,
        resources={provider: resources} if resources else {},
    )


def _circumstances(tx: Transaction, request: Request, server_ids: Sequence[str]) -> Circumstances:
    hints = request.hints
    policy, most, there = _group(tx, request.server_group_id, server_ids)
    return Circumstances(
        policy=policy,
        max_per_host=most,
        group_hosts=there,
        same=_hosts_of(tx, hints["same_host"]) if hints.get("same_host") else None,
        different=_hosts_of(tx, hints["different_host"]) if hints.get("different_host") else frozenset(),
        near=_network(hints),
        query=_query(hints),
    )


def _group(tx: Transaction, group_id: str | None, server_ids: Sequence[str]) -> tuple[str | None, int, dict[str, int]]:
    row = tx.first(_GROUP, {"key": group_id}) if group_id is not None else None
    if row is None:
        return None, 1, {}
    placed = set(server_ids)
    there = Counter(mate.host for mate in tx.all(_MATES, {"key": group_id}) if mate.id not in placed)
    return row.policy, int((row.rules or {}).get("max_server_per_host", 1)), dict(there)


def _hosts_of(tx: Transaction, hint: Any) -> frozenset[str]:
    given = [str(one) for one in (hint if isinstance(hint, list | tuple) else [hint])]
    if len(given) > MOST_HINTED:
        raise NoValidHost(f"No valid host was found. A hint names more than {MOST_HINTED} servers.")
    return frozenset(row.host for row in tx.all(_HOSTS_OF, {"keys": given}))


def _network(hints: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    address = hints.get("build_near_host_ip")
    if not address:
        return None
    prefix = str(hints.get("cidr") or "/24").removeprefix("/")
    try:
        return ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    except ValueError:
        raise NoValidHost(f"No valid host was found. {address}/{prefix} is no network (build_near_host_ip).") from None


def _query(hints: Any) -> Any:
    text = hints.get("query")
    if isinstance(text, list | tuple):
        text = text[0] if text else None
    if not text:
        return None
    try:
        return matching.parse_query(str(text))
    except ValueError as error:
        raise NoValidHost(f"No valid host was found. The hint query cannot be read: {error}.") from None
