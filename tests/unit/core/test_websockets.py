"""Which address of a websocket leads to which service's handler."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocket

from stackyard.core.routes import Service
from stackyard.core.runtime import Runtime
from stackyard.core.websockets import WebSocketRoute, WebSockets


def connect(path: str, classic: str | None = None) -> list[dict[str, Any]]:
    """What is sent to somebody who connects."""

    async def greet(runtime: Runtime, websocket: WebSocket) -> None:
        await websocket.accept("binary")

    service = Service(
        type="one", name="one", mount="/one", aliases=("/uno",), classic_port=1, routes=(), policies=(),
        fault=lambda error, request_id: {},
    )  # fmt: skip
    sockets = WebSockets(None, [(service, [WebSocketRoute("/console/socket", greet)])])  # type: ignore[arg-type]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
    asyncio.run(sockets(scope | ({"stackyard.service": classic} if classic else {}), receive, send))
    return sent


@pytest.mark.parametrize(
    ("path", "classic"),
    [("/one/console/socket", None), ("/uno/console/socket", None), ("/console/socket", "/one")],
)
def test_a_known_address_is_served(path: str, classic: str | None) -> None:
    assert [message["type"] for message in connect(path, classic)] == ["websocket.accept"]


@pytest.mark.parametrize(
    ("path", "classic"),
    [
        ("/console/socket", None),
        ("/console/socket", "/two"),
        ("/one/console/socket/more", None),
        ("/one/console", None),
        ("/two/console/socket", None),
        ("/", None),
    ],
)
def test_any_other_is_refused_before_it_is_accepted(path: str, classic: str | None) -> None:
    (only,) = connect(path, classic)
    assert (only["type"], only["code"]) == ("websocket.close", 1008)
