"""/os-volumes_boot: until 2.102 another address of /servers, from when only servers made there booted from volumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route

_LAST = Microversion(2, 102)
_SERVERS = "/v2.1/servers"
_PATHS = frozenset({_SERVERS, f"{_SERVERS}/detail", f"{_SERVERS}/{{server_id}}", f"{_SERVERS}/{{server_id}}/action"})


def routes(servers: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of servers under their other address."""
    return tuple(
        _renamed(route)
        for route in servers
        if route.path in _PATHS and (route.options.since is None or route.options.since <= _LAST)
    )


def _renamed(route: Route) -> Route:
    options = {field.name: getattr(route.options, field.name) for field in dataclasses.fields(route.options)}
    last = route.options.until
    options["until"] = _LAST if last is None else min(_LAST, last)
    path = "/v2.1/os-volumes_boot" + route.path.removeprefix(_SERVERS)
    return Route(route.method, path, route.operation, route.rule, **options)
