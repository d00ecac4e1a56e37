"""The plug-in as Docker calls it: POST /NetworkDriver.CreateNetwork and the like, JSON to and fro.

An error is `{"Err": text}`, which `docker` shows to its user.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from stackyard.core.body import decode
from stackyard.core.db import Transaction
from stackyard.core.dispatch import Receive, Scope, Send, read_body
from stackyard.core.errors import ApiError, Forbidden, MethodNotAllowed, NotFound
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.plugins.kuryr import addresses, bodies, container_names, endpoints, exposed, networks, pools, publishing
from stackyard.plugins.kuryr.forwarding import Forwarder
from stackyard.plugins.kuryr.session import Session, open_session
from stackyard.services.network import api as network_api

log = logging.getLogger("stackyard.kuryr")

MEDIA_TYPE = b"application/vnd.docker.plugins.v1.1+json"
LARGEST_BODY = 1024 * 1024

_ADDRESS_SPACE = "no_address_space"

FIXED: dict[str, dict[str, Any]] = {
    "Plugin.Activate": {"Implements": ["NetworkDriver", "IpamDriver"]},
    "NetworkDriver.DiscoverNew": {},
    "NetworkDriver.DiscoverDelete": {},
    "NetworkDriver.FreeNetwork": {},
    "NetworkDriver.Leave": {},
    "IpamDriver.GetCapabilities": {"RequiresMACAddress": True},
    "IpamDriver.GetDefaultAddressSpaces": {
        "LocalDefaultAddressSpace": _ADDRESS_SPACE,
        "GlobalDefaultAddressSpace": _ADDRESS_SPACE,
    },
}
"""Calls with always the same answer. Leave is one: Docker takes its end of the wire back by itself, and Join makes a
new one; DeleteEndpoint removes what is left."""

Operation = Callable[[Session, Any], dict[str, Any]]

CALLS: dict[str, tuple[type[bodies.DockerBody], Operation]] = {
    "NetworkDriver.CreateNetwork": (bodies.CreateNetwork, networks.create),
    "NetworkDriver.DeleteNetwork": (bodies.NetworkOnly, networks.delete),
    "NetworkDriver.CreateEndpoint": (bodies.CreateEndpoint, endpoints.create),
    "IpamDriver.RequestPool": (bodies.RequestPool, pools.request_pool),
    "IpamDriver.ReleasePool": (bodies.ReleasePool, pools.release_pool),
    "IpamDriver.RequestAddress": (bodies.RequestAddress, addresses.request_address),
    "IpamDriver.ReleaseAddress": (bodies.ReleaseAddress, addresses.release_address),
}
"""Calls that are one transaction and nothing else."""


class Plugin:
    """The ASGI application. `start` takes up what was published before; `stop` ends that."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.forwarder = Forwarder(lambda network_id: network_api.entrance(runtime, network_id))
        self._more: dict[str, Callable[[bytes], dict[str, Any]]] = {
            "NetworkDriver.GetCapabilities": self._capabilities,
            "NetworkDriver.AllocateNetwork": lambda data: networks.allocate(decode(data, bodies.AllocateNetwork)),
            "NetworkDriver.Join": self._join,
            "NetworkDriver.ProgramExternalConnectivity": self._program,
            "NetworkDriver.RevokeExternalConnectivity": self._revoke,
            "NetworkDriver.DeleteEndpoint": self._delete_endpoint,
            "NetworkDriver.EndpointOperInfo": self._show,
        }

    def start(self) -> None:
        """Listen for published ports."""
        publishing.restore(self.runtime, self.forwarder)

    def stop(self) -> None:
        """End what `start` and calls began."""
        self.forwarder.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        request = Request(scope, receive)
        try:
            if "origin" in request.headers:
                raise Forbidden("Web pages have no business here.")
            data = await read_body(request, LARGEST_BODY)
            loop = asyncio.get_running_loop()
            path = scope["path"]
            status, answer = await loop.run_in_executor(
                self.runtime.slow_threads, self.answer, scope["method"], path, data
            )
        except ClientDisconnect:
            return
        except ApiError as error:
            status, answer = error.status, {"Err": error.message}
        body = msgspec.json.encode(answer)
        headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def answer(self, method: str, path: str, data: bytes) -> tuple[int, dict[str, Any]]:
        """One call's status and answer."""
        request_id_var.set(new_request_id())
        call = path.strip("/")
        known = call in FIXED or call in CALLS or call in self._more
        try:
            if not known:
                raise NotFound(f"There is no call {path[:200]}.")
            if method != "POST":
                raise MethodNotAllowed(f"{call} is called by POST.")
            return 200, self._perform(call, data)
        except ApiError as error:
            log.info("a call of Docker's failed", extra={"call": path[:200], "reason": error.message})
            # Docker takes 404 for a call that the plug-in does not have, and goes on as if nothing were wrong.
            return 500 if known and error.status == 404 else error.status, {"Err": error.message}
        except HostError as error:
            log.warning("a call of Docker's failed", extra={"call": call, "reason": str(error)})
            return 500, {"Err": str(error)}
        except Exception:
            log.exception("a call of Docker's failed", extra={"call": call})
            return 500, {"Err": f"An unexpected error ({request_id_var.get()}); the cloud's log has more."}

    def _perform(self, call: str, data: bytes) -> dict[str, Any]:
        if call in FIXED:
            return FIXED[call]
        if call in self._more:
            return self._more[call](data)
        kind, operation = CALLS[call]
        body = decode(data, kind)
        return self.runtime.database.write(f"kuryr.{call}", self._operate, operation, body)

    def _operate(self, tx: Transaction, operation: Callable[..., Any], body: Any) -> Any:
        return operation(open_session(tx, self.runtime), body)

    def _capabilities(self, data: bytes) -> dict[str, Any]:
        del data
        return {"Scope": self.runtime.settings.kuryr.scope}

    def _join(self, data: bytes) -> dict[str, Any]:
        body = decode(data, bodies.Join)
        answer, port_id = self.runtime.database.write("kuryr.Join", self._operate, endpoints.join, body)
        network_api.rewire_now(self.runtime, [port_id])
        return dict(answer)

    def _show(self, data: bytes) -> dict[str, Any]:
        body = decode(data, bodies.EndpointOnly)
        answer, nameless = self.runtime.database.read("kuryr.EndpointOperInfo", self._operate, endpoints.show, body)
        if nameless:
            self.runtime.slow_threads.submit(container_names.learn, self.runtime, body.network_id, body.endpoint_id)
        return dict(answer)

    def _program(self, data: bytes) -> dict[str, Any]:
        body = decode(data, bodies.ExternalConnectivity)
        published = self.runtime.database.write("kuryr.Program", self._operate, exposed.program, body)
        if published:
            publishing.publish(self.runtime, self.forwarder, body)
        return {}

    def _revoke(self, data: bytes) -> dict[str, Any]:
        body = decode(data, bodies.EndpointOnly)
        self.forwarder.close(body.endpoint_id)
        return dict(self.runtime.database.write("kuryr.Revoke", self._operate, exposed.revoke, body))

    def _delete_endpoint(self, data: bytes) -> dict[str, Any]:
        body = decode(data, bodies.EndpointOnly)
        self.forwarder.close(body.endpoint_id)
        return dict(self.runtime.database.write("kuryr.DeleteEndpoint", self._operate, endpoints.delete, body))
