"""The cloud's end of `stackyard-cni`: one call is one POST with a request, its answer a result or an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from stackyard.core.dispatch import Receive, Scope, Send, read_body
from stackyard.core.errors import ApiError
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.plugins.cni import attachments
from stackyard.plugins.cni.requests import (
    FAILED,
    INVALID_ENVIRONMENT,
    IO_FAILURE,
    UNAVAILABLE,
    UNDECODABLE,
    UNKNOWN,
    CniError,
    Config,
    Request,
    check_environment,
    read_config,
)
from stackyard.services.network import api as network_api

log = logging.getLogger("stackyard.cni")

LARGEST_BODY = 1024 * 1024


class CniServer:
    """The ASGI application. Whoever reaches it is root on this machine."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._commands: dict[str, Callable[[Request, Config], dict[str, Any] | None]] = {
            "ADD": self._add,
            "DEL": self._del,
            "CHECK": self._check,
            "STATUS": self._status,
            "GC": self._gc,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        try:
            data = await read_body(HttpRequest(scope, receive), LARGEST_BODY)
        except ClientDisconnect:
            return
        except ApiError as error:
            data, answer = b"", CniError(UNDECODABLE, error.message).body()
        else:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self.runtime.slow_threads, self.answer, data)
        body = msgspec.json.encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def answer(self, data: bytes) -> dict[str, Any]:
        """The result, `{}` when a command has none, or an error: what has a `code` is one."""
        request_id_var.set(new_request_id())
        try:
            return self._perform(data) or {}
        except CniError as error:
            found = error
        except ApiError as error:
            found = CniError(FAILED + error.status % 100, error.message, error.kind)
        except HostError as error:
            found = CniError(IO_FAILURE, "the interface cannot be wired", str(error))
        except Exception:
            log.exception("a CNI call failed")
            found = CniError(FAILED, f"an unexpected error ({request_id_var.get()}); the cloud's log has more")
        log.info("a CNI call failed", extra={"code": found.code, "reason": f"{found.message} {found.details}"})
        return found.body()

    def _perform(self, data: bytes) -> dict[str, Any] | None:
        try:
            request = msgspec.json.decode(data, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CniError(UNDECODABLE, "the call cannot be read", str(error)) from None
        command = self._commands.get(request.command)
        if command is None:
            raise CniError(INVALID_ENVIRONMENT, f"CNI_COMMAND is {request.command[:50]!r}")
        return command(request, read_config(request))

    def _run(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.runtime.database.write(f"cni.{name}", function, self.runtime, *arguments)

    def _look(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.runtime.database.read(f"cni.{name}", function, self.runtime, *arguments)

    def _add(self, request: Request, config: Config) -> dict[str, Any]:
        check_environment(request, with_namespace=True)
        port_id = self._run("ADD", attachments.attach, request, config)
        try:
            network_api.wire_now(self.runtime, [port_id])
        except Exception:
            # The runtime takes it that a failed ADD has made nothing.
            self._del(request, config)
            raise
        return dict(self._look("result", attachments.result, request, config))

    def _del(self, request: Request, config: Config) -> None:
        check_environment(request, with_namespace=False)
        network_api.unwire_now(self.runtime, self._run("DEL", attachments.detach, request, config))

    def _gc(self, request: Request, config: Config) -> None:
        del request
        network_api.unwire_now(self.runtime, self._run("GC", attachments.collect, config))

    def _status(self, request: Request, config: Config) -> None:
        del request
        try:
            self._look("STATUS", attachments.ready, config)
        except ApiError as error:
            raise CniError(UNAVAILABLE, "the network is not there", error.message) from None

    def _check(self, request: Request, config: Config) -> None:
        check_environment(request, with_namespace=True)
        port_id = self._look("bound", attachments.bound_port, request, config)
        if port_id is None:
            raise CniError(UNKNOWN, f"container {request.container_id} has no interface {request.ifname} there")
        if not network_api.is_wired(self.runtime, port_id):
            raise CniError(FAILED, f"interface {request.ifname} is not whole", f"port {port_id}")
        found = self._look("result", attachments.result, request, config)
        lost = attachments.differences(found, config.previous)
        if lost:
            raise CniError(FAILED, f"interface {request.ifname} has no {', '.join(lost)} any more")
