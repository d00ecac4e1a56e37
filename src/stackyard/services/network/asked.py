"""The network API asked by another service on behalf of a caller (Nova's old proxies), in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.inner import Inner


@cache
def _inner() -> Inner:
    from stackyard.services import network  # whose package imports this module

    return Inner(network.SERVICE)


def ask(
    tx: Transaction, call: Call, method: str, path: str, *, body: Any = None, query: Iterable[Any] = ()
) -> dict[str, Any]:
    """What the API answers the caller of `call` at `path` (`/v2.0/networks`); raises Neutron's faults."""
    found: dict[str, Any] = _inner().ask(tx, call, method, path, body=body, query=query)
    return found


def list_security_groups(tx: Transaction, call: Call, query: Iterable[Any] = ()) -> list[dict[str, Any]]:
    """The security groups that the caller may see, with their rules; the project's default group is made if need be."""
    from stackyard.services.network import default_groups
    from stackyard.services.network.security_groups import operations

    if call.caller.project_id and call.route.writes:
        default_groups.ensure(tx, call.runtime, call.caller.project_id)
    path = "/v2.0/security-groups"
    found: list[dict[str, Any]] = _inner().ask(tx, call, "GET", path, query=query, operation=operations.listed)[
        "security_groups"
    ]
    return found
