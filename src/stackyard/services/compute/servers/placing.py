"""A host for a server that exists already: one that comes back, moves, or is to be larger where it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.compute import scheduler
from stackyard.services.compute.scheduler import NoValidHost, Request
from stackyard.services.compute.volumes import ending


def place(
    tx: Transaction,
    call: Call,
    server: Any,
    *,
    zone: str | None = None,
    host: str | None = None,
    exclude: frozenset[str] = frozenset(),
    flavor: Mapping[str, Any] | None = None,
) -> str:
    """The host that the scheduler finds for the server, claimed under its id; with `flavor` instead of its own.

    Raises BadRequest (NoValidHost).
    """
    asked = _request(server, flavor or server.flavor, zone, _host(tx, call, server, host), exclude)
    try:
        return scheduler.place(tx, call.runtime, asked, [server.id])[0]
    except NoValidHost as error:
        raise BadRequest(str(error), kind="NoValidHost") from error


def _host(tx: Transaction, call: Call, server: Any, asked: str | None) -> str | None:
    """The one that was asked for, or that keeps the server's volumes where hosts do not share them."""
    bound = ending.require_host(tx, call.runtime, server)
    if None not in (bound, asked) and bound != asked:
        raise BadRequest(
            f"No valid host was found. The volumes of the server are kept on {bound}, not on {asked}.",
            kind="NoValidHost",
        )
    return asked or bound


def claim_on(tx: Transaction, call: Call, server: Any, *, flavor: Mapping[str, Any], host: str) -> None:
    """Claim what the server takes with a flavor, on a host. Raises BadRequest (NoValidHost) when it is too much."""
    try:
        scheduler.claim_on(tx, call.runtime, host, _request(server, flavor, None, host, frozenset()), server.id)
    except NoValidHost as error:
        raise BadRequest(str(error), kind="NoValidHost") from error


def _request(
    server: Any, flavor: Mapping[str, Any], zone: str | None, host: str | None, exclude: frozenset[str]
) -> Request:
    # Volume-backed servers have no root disk on their host.
    root = int(flavor["disk"]) if server.image_id else 0
    swap = -(-int(flavor.get("swap") or 0) // 1024)
    return Request(
        vcpus=int(flavor["vcpus"]),
        memory=int(flavor["ram"]),
        disk=root + int(flavor.get("ephemeral") or 0) + swap,
        project_id=server.project_id,
        user_id=server.user_id,
        kind=server.kind,
        zone=zone,
        host=host,
        hints=server.hints,
        server_group_id=server.server_group_id,
        image_properties=server.image.get("properties") or {},
        extra_specs=flavor.get("extra_specs") or {},
        exclude_hosts=exclude,
    )


def on(server: Any, host: str) -> Any:
    """The server's row as it is once it is on another host."""
    return SimpleNamespace(**{**server._mapping, "host": host})
