"""A service's route table, and how an address finds its route.

A route says everything that is to be known about a call before its operation runs: method, path, policy rule, body,
microversions. A route whose rule no service declares is refused when the cloud is put together, so that forgetting
authorisation is impossible rather than unlikely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from stackyard.core.errors import ApiError, MethodNotAllowed, NotFound
from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.policy import Rule

if TYPE_CHECKING:
    from stackyard.core.call import Call
    from stackyard.core.db import Transaction

PUBLIC = "public"
"""The rule of a route that needs no token: version documents, signing in."""

Operation = Callable[..., Any]
"""`operation(tx, call)` in a transaction, or `async operation(call)` for an edge route."""

BodyType = type[Any] | Callable[[Microversion | None], type[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What most routes leave as it is.

    `status` of a success · `body` the msgspec type that the body is decoded to (or a function from microversion to it)
    and `envelope` the key it stands under · `target` loads what the call is about, `target(tx, call)`, for the rule to
    look at and the operation to find as `call.target` · `since` and `until` microversions · `writes` when the method
    does not tell (GET and HEAD read, the rest write) · `edge` an async operation that opens its own transactions.

    For the API's description alone: `schema` the type of a body that the operation itself converts (`body` is then dict
    or list), `query` the names of query parameters, `media_type` of the body.
    """

    status: int = 200
    body: BodyType | None = None
    envelope: str | None = None
    target: Callable[[Transaction, Call], Any] | None = None
    since: Microversion | None = None
    until: Microversion | None = None
    writes: bool | None = None
    edge: bool = False
    schema: Any = None
    query: Sequence[str] = ()
    media_type: str = ""


class Route:
    """One call of an API: `Route("GET", "/v2.0/networks/{network_id}", networks.show, "get_network", target=...)`."""

    __slots__ = ("label", "method", "operation", "options", "path", "rule", "writes")

    def __init__(self, method: str, path: str, operation: Operation, rule: str, **options: Any) -> None:
        self.method = method
        self.path = path
        self.operation = operation
        self.rule = rule
        self.options = Options(**options)
        writes = self.options.writes
        self.writes = method not in ("GET", "HEAD") if writes is None else writes
        self.label = f"{method} {path}"

    def speaks(self, version: Microversion | None) -> bool:
        """Whether the route exists at this microversion."""
        if version is None:
            return True
        options = self.options
        return (options.since is None or version >= options.since) and (
            options.until is None or version <= options.until
        )

    def __repr__(self) -> str:
        return f"Route({self.label})"


class Address(NamedTuple):
    """Where a request's path leads: to the route at `path`.

    `version` when the path itself says which microversion is spoken; `project_id` when it names the caller's project,
    which must then be that of the token.
    """

    path: str
    version: Microversion | None = None
    project_id: str | None = None


FaultFormat = Callable[[ApiError, str], Mapping[str, Any]]
"""From a fault and the request id to the JSON body that the service's clients expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its catalogue type and name, where it is mounted, its routes and rules, how it words a fault.

    `mount` is its path on the one port; `aliases` further ones; `classic_port` its well-known port. `root_prefixes` are
    paths of its routes that the one port's root serves too, unstripped (Keystone's /v3). `catalog_path` is what follows
    the mount in the catalogue's URLs and may hold `%(project_id)s`. `readdress` finds the address that a path means,
    for services that have several for one route (Nova's /v2.1/{project_id}/servers). `request_id_header` is an older
    name under which its clients look for the request's id too. `also_known_as` are further (type, name) pairs under
    which the catalogue has it, for older clients. With `hides_methods` an address is not there (404) for
    a method that it does not have, instead of refusing it (405).
    """

    type: str
    name: str
    mount: str
    classic_port: int
    routes: Sequence[Route]
    policies: Sequence[Rule]
    fault: FaultFormat
    catalog_path: str = ""
    aliases: tuple[str, ...] = ()
    root_prefixes: tuple[str, ...] = ()
    microversions: MicroversionRange | None = None
    readdress: Callable[[str], Address] | None = None
    hides_methods: bool = False
    request_id_header: str | None = None
    also_known_as: tuple[tuple[str, str], ...] = ()

    def trie(self) -> Trie:
        """What finds its routes. Raises ValueError when one names a rule that is not declared, or two are the same."""
        declared = {rule.name for rule in self.policies} | {PUBLIC}
        for route in self.routes:
            if route.rule not in declared:
                raise ValueError(
                    f"{self.type}: route {route.label} names the rule {route.rule!r}, which is not declared"
                )
        return Trie(self.routes, hides_methods=self.hides_methods)


@dataclass(slots=True)
class _Node:
    words: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    rest: _Node | None = None
    methods: dict[str, list[tuple[Route, tuple[str, ...]]]] = field(default_factory=dict)


class Trie:
    """Finds a path's route by its segments: words before parameters, `{name*}` takes the rest with its slashes."""

    def __init__(self, routes: Iterable[Route], *, hides_methods: bool = False) -> None:
        self._root = _Node()
        self._wordy: dict[str, _Node] = {}
        self._hides_methods = hides_methods
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        names: list[str] = []
        for segment in _segments(route.path):
            if segment.startswith("{") and segment.endswith("*}"):
                names.append(segment[1:-2])
                node.rest = node.rest or _Node()
                node = node.rest
            elif segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.words.setdefault(segment, _Node())
        same = node.methods.setdefault(route.method, [])
        if any(_overlap(route, other) for other, _ in same):
            raise ValueError(f"two routes for {route.label} at the same microversion")
        same.append((route, tuple(names)))
        if not names:
            self._wordy[route.path] = node

    def find(self, method: str, path: str, version: Microversion | None) -> tuple[Route, dict[str, str]]:
        """The route and the values of its parameters.

        HEAD falls back to GET. Raises NotFound for an unknown path, MethodNotAllowed for a path without the method
        unless such are hidden.
        """
        values: tuple[str, ...] = ()
        node = self._wordy.get(path)  # where there is one, the steps along the path would lead to no other
        if node is None:
            found = _descend(self._root, _segments(path), 0, ())
            if found is None:
                raise NotFound("The resource could not be found.")
            node, values = found
        candidates = node.methods.get(method) or (node.methods.get("GET") if method == "HEAD" else None)
        if candidates is None and self._hides_methods:
            raise NotFound("The resource could not be found.")
        if candidates is None:
            allowed = ", ".join(sorted(node.methods))
            raise MethodNotAllowed(f"The method {method} is not allowed for this resource.", headers={"Allow": allowed})
        for route, names in candidates:
            if route.speaks(version):
                return route, dict(zip(names, values, strict=True))
        raise NotFound(f"The resource could not be found at API version {version}.")


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _overlap(one: Route, two: Route) -> bool:
    lowest, highest = Microversion(0, 0), Microversion(10**6, 0)
    start = max(one.options.since or lowest, two.options.since or lowest)
    end = min(one.options.until or highest, two.options.until or highest)
    return start <= end


def _descend(
    node: _Node, parts: list[str], index: int, values: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    if index == len(parts):
        return (node, values) if node.methods else None
    part = parts[index]
    word = node.words.get(part)
    if word is not None:
        found = _descend(word, parts, index + 1, values)
        if found is not None:
            return found
    if node.parameter is not None:
        found = _descend(node.parameter, parts, index + 1, (*values, part))
        if found is not None:
            return found
    if node.rest is not None:
        return node.rest, (*values, "/".join(parts[index:]))
    return None
