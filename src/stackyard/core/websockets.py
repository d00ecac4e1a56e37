"""Websockets: the addresses at which services take them, in a table as their routes are.

What a websocket's handler needs to know of who asks is in the address itself, so there is no token of the API's here:
each handler checks for itself, and refuses before it accepts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket

from stackyard.core.routes import Service
from stackyard.core.runtime import Runtime


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """One address, below the service's mount. `handler(runtime, websocket)` accepts or closes, and ends the session."""

    path: str
    handler: Callable[[Runtime, WebSocket], Awaitable[None]]


class WebSockets:
    """Serves the websockets of every mounted service."""

    def __init__(self, runtime: Runtime, services: Iterable[tuple[Service, Iterable[WebSocketRoute]]]) -> None:
        self._runtime = runtime
        self._handlers: dict[tuple[str, str], WebSocketRoute] = {}
        for service, routes in services:
            for mount in (service.mount, *service.aliases):
                self._handlers |= {(mount, route.path): route for route in routes}

    def _find(self, scope: dict[str, Any]) -> WebSocketRoute | None:
        path: str = scope["path"]
        classic = scope.get("stackyard.service")
        for (mount, own), route in self._handlers.items():
            if path == mount + own or (classic == mount and path == own):
                return route
        return None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one websocket; an unknown address is refused."""
        websocket = WebSocket(scope, receive, send)
        route = self._find(scope)
        if route is None:
            await websocket.close(1008)
            return
        await route.handler(self._runtime, websocket)
