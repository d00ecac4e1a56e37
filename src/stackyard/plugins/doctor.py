"""The running cloud's end of `stackyard doctor`: only this process knows what it has made, and of what."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from stackyard.core.dispatch import Receive, Scope, Send
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services.compute import api as compute_api
from stackyard.services.network import api as network_api

log = logging.getLogger("stackyard.doctor")

SOCKET_NAME = "doctor.sock"
"""In the state directory."""


class DoctorServer:
    """The ASGI application: whatever is asked, the answer is a JSON list of lines. Whoever reaches it is root."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        del scope, receive
        loop = asyncio.get_running_loop()
        lines = await loop.run_in_executor(self.runtime.slow_threads, self.lines)
        body = msgspec.json.encode(lines)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def lines(self) -> list[str]:
        """Where the kernel, and the servers of this host, differ from the database."""
        found: list[str] = []
        for compare in (network_api.differences, compute_api.differences):
            try:
                found += compare(self.runtime)
            except HostError as error:
                log.exception("the host could not be looked at")
                found.append(str(error))
        return found
