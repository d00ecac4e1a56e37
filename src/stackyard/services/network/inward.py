"""Calls of the network API made from within the process, as a part of somebody else's transaction.

What a plug-in does for another system's users is what that system would ask Neutron for: the same rules, quotas and
faults, but no HTTP, and all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.inner import Inner
from stackyard.core.routes import Service, Trie
from stackyard.core.runtime import Runtime


@lru_cache(1)
def _routes() -> tuple[Service, Trie]:
    from stackyard.services import network

    return network.SERVICE, Trie(network.ROUTES)


class Inward:
    """The network API as a caller has it, in one transaction. All methods raise the API's own faults."""

    def __init__(self, tx: Transaction, runtime: Runtime, caller: Caller) -> None:
        self.tx = tx
        self.runtime = runtime
        self.caller = caller
        self._inner = Inner(*_routes(), runtime, caller)

    def perform(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Sequence[tuple[str, str]] = ()
    ) -> Any:
        """One call: `perform("POST", "/v2.0/networks", {"network": {...}})`; returns the body of the answer."""
        return self._inner.ask(self.tx, method, path, body=body, query=query)

    def security_groups(self, query: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
        """The security groups that the caller may see, as the API shows them; none is made by looking."""
        from stackyard.services.network.security_groups import operations

        groups = self._inner.ask(self.tx, "GET", "/v2.0/security-groups", query=query, operation=operations.listed)[
            "security_groups"
        ]
        return list(groups)

    def list(self, collection: str, **query: str | Sequence[str]) -> list[dict[str, Any]]:
        """The resources of a collection (`networks`) that these filters leave; `router__external` is written so."""
        pairs = [
            (name.replace("__", ":"), value)
            for name, given in query.items()
            for value in ([given] if isinstance(given, str) else given)
        ]
        return list(self.perform("GET", f"/v2.0/{collection}", query=pairs)[collection.replace("-", "_")])

    def show(self, noun: str, resource_id: str) -> dict[str, Any]:
        """One resource (`network`) by its id."""
        return dict(self.perform("GET", f"/v2.0/{_plural(noun)}/{_segment(resource_id)}")[noun])

    def create(self, noun: str, **fields: Any) -> dict[str, Any]:
        """Make one; a field such as `binding__profile` is written with a colon."""
        return dict(self.perform("POST", f"/v2.0/{_plural(noun)}", {noun: _named(fields)})[noun])

    def update(self, noun: str, resource_id: str, **fields: Any) -> dict[str, Any]:
        """Change one."""
        body = {noun: _named(fields)}
        return dict(self.perform("PUT", f"/v2.0/{_plural(noun)}/{_segment(resource_id)}", body)[noun])

    def delete(self, noun: str, resource_id: str) -> None:
        """Delete one."""
        self.perform("DELETE", f"/v2.0/{_plural(noun)}/{_segment(resource_id)}")

    def tag(self, noun: str, resource: Mapping[str, Any], *, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        """Change a resource's tags, as they stand in `resource`."""
        kept = [tag for tag in resource["tags"] if tag not in drop]
        wanted = [*kept, *(tag for tag in add if tag not in kept)]
        if wanted != list(resource["tags"]):
            self.perform("PUT", f"/v2.0/{_plural(noun)}/{resource['id']}/tags", {"tags": wanted})


def _plural(noun: str) -> str:
    return f"{noun.replace('_', '-')}s"


def _segment(text: str) -> str:
    """An id of somebody's as one segment of a path, so that it leads nowhere else."""
    return text.replace("/", "_") or "_"


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("__", ":"): value for name, value in fields.items()}
