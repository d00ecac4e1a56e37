"""The ASGI application: from a request to its operation and back, the same way for every service.

Order: service by mount, microversion, route, caller from the token, policy rule, body, target, rule again on the
target, operation. A route's operation runs in one transaction: one that writes in one thread hop; one that reads too,
unless the database is a local file, whose reads wait for nobody and take less than the hop. An edge route's operation
is awaited on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, cast

import msgspec
from sqlalchemy.exc import DataError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stackyard.core.body import decode
from stackyard.core.call import Call, Reply, as_mapping
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Forbidden, NotFound, TooLarge, Unauthorized
from stackyard.core.ids import new_request_id
from stackyard.core.log import access, request_id_var
from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.routes import PUBLIC, Address, Route, Service, Trie
from stackyard.core.runtime import Runtime

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Lines = list[tuple[bytes, bytes]]
"""Headers of a response as ASGI has them, names in lower case."""

log = logging.getLogger("stackyard.http")
SLOW_SECONDS = 1.0
"""A request that takes longer is logged, as are those that fail by our fault; all of them at level debug."""

_encode = msgspec.json.Encoder().encode


class Dispatcher:
    """Serves every mounted service."""

    def __init__(self, runtime: Runtime, services: Iterable[Service]) -> None:
        self.runtime = runtime
        self.observe: Callable[[str, Route | None, str, int, float], None] | None = None
        """Called after each request with service type, route, method, status and seconds."""
        self._mounts: dict[str, tuple[Service, Trie]] = {}
        self._roots: dict[str, str] = {}
        for service in services:
            trie = service.trie()
            for mount in (service.mount, *service.aliases):
                self._mounts[mount] = (service, trie)
            self._roots |= dict.fromkeys(service.root_prefixes, service.mount)
        self._by_first_word: dict[str, list[str]] = {}
        for mount in sorted(self._mounts, key=len, reverse=True):
            self._by_first_word.setdefault(_first_word(mount), []).append(mount)

    def mount_of(self, path: str) -> str | None:
        """The longest mount that `path` lies under."""
        for mount in self._by_first_word.get(_first_word(path), ()):
            if _lies_under(path, mount):
                return mount
        return None

    def _at_root(self, path: str) -> str | None:
        """The mount of the service whose routes the root serves too, for this path."""
        for prefix, mount in self._roots.items():
            if _lies_under(path, prefix):
                return mount
        return None

    def _place(self, scope: Scope) -> tuple[str | None, str]:
        """The mount of the service that a request is for, and the path as its routes have it."""
        path: str = scope["path"]
        mount = self.mount_of(path) if "stackyard.service" not in scope else None
        if mount is not None:
            scope["stackyard.mount"] = mount
            return mount, path[len(mount) :]
        scope["stackyard.mount"] = ""
        return scope.get("stackyard.service") or self._at_root(path), path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request. A classic port names its service in `scope["stackyard.service"]`."""
        started = time.perf_counter()
        request_id = new_request_id()
        request_id_var.set(request_id)
        mount, path = self._place(scope)
        request = Request(scope, receive)
        if mount is None:
            error = NotFound("There is no service at this address; GET / lists them.")
            await _send_reply(send, _plain_fault(error, request_id), _own_lines(request_id), scope["method"] == "HEAD")
            return
        service, trie = self._mounts[mount]
        call = Call(self.runtime, service, request, request_id)
        lines = _own_lines(request_id, service.request_id_header)
        status = 500
        try:
            answer = await self._answer(call, trie, scope["method"], path, lines)
            status = await _send_answer(send, call, answer, lines)
        except ClientDisconnect:
            status = 499
        except DataError:
            status = 400
            log.warning("the database refused a value", exc_info=True, extra={"service": service.type, "path": path})
            await self._send_fault(send, call, BadRequest("A value of the request cannot be stored."), lines)
        except ApiError as error:
            status = error.status
            await self._send_fault(send, call, error, lines)
        except Exception:
            log.exception("request failed", extra={"service": service.type, "path": path})
            fault = ApiError(f"An unexpected error prevented the server from fulfilling your request ({request_id}).")
            await self._send_fault(send, call, fault, lines)
        finally:
            self._served(call, status, time.perf_counter() - started)

    def _served(self, call: Call, status: int, seconds: float) -> None:
        method = call.request.method
        if self.observe is not None:
            self.observe(call.service.type, getattr(call, "route", None), method, status, seconds)
        if status >= 500 or seconds > SLOW_SECONDS or log.isEnabledFor(logging.DEBUG):
            path = call.request.scope["path"]
            access(service=call.service.type, method=method, path=path, status=status, seconds=seconds)

    async def _answer(self, call: Call, trie: Trie, method: str, path: str, lines: Lines) -> Any:
        path = _negotiate(call, path, lines)
        if "\x00" in path:
            raise NotFound("Nothing has a NUL character in its address.")
        if b"%00" in call.request.scope.get("query_string", b""):
            raise BadRequest("The query holds a NUL character, which nothing here may have.")
        call.route, call.path = trie.find(method, path, call.microversion)
        loop = asyncio.get_running_loop()
        edge = call.route.options.edge
        data = b""
        if call.route.options.body is not None or (method in ("POST", "PUT", "PATCH") and not edge):
            data = await read_body(call.request, self.runtime.settings.limits.max_body)
        if edge:
            if self.runtime.database.reads_at_once:
                self._admit_edge(call, data)
            else:
                await loop.run_in_executor(self.runtime.threads, self._admit_edge, call, data)
            return await call.route.operation(call)
        if self.runtime.database.reads_at_once and not call.route.writes:
            return self._transact(call, data)
        return await loop.run_in_executor(self.runtime.threads, self._transact, call, data)

    def _transact(self, call: Call, data: bytes) -> Any:
        request_id_var.set(call.request_id)  # a pool's thread has a context of its own
        database = self.runtime.database
        run = database.write if call.route.writes else database.read
        return run(call.route.label, self._operate, call, data)

    def _operate(self, tx: Transaction, call: Call, data: bytes) -> Any:
        self._enter(tx, call, data)
        return call.route.operation(tx, call)

    def _admit_edge(self, call: Call, data: bytes) -> None:
        self.runtime.database.read(f"admit {call.route.label}", self._enter, call, data)

    def _enter(self, tx: Transaction, call: Call, data: bytes) -> None:
        """All that comes before an operation: caller, body, target, and the rule on it."""
        self._admit(tx, call)
        options = call.route.options
        if options.body is not None:
            kind = options.body
            resolved = kind if isinstance(kind, type) else cast("Callable[..., type[Any]]", kind)(call.microversion)
            call.body = decode(data, resolved, options.envelope)
        if options.target is not None:
            call.target = options.target(tx, call)
            if call.route.rule != PUBLIC:
                call.require(call.route.rule, as_mapping(call.target))

    def _admit(self, tx: Transaction, call: Call) -> None:
        """Find out who asks, and refuse who may not; a route with a target has its rule checked on that, later."""
        token = call.request.headers.get("x-auth-token")
        if call.route.rule == PUBLIC:
            return
        if not token:
            raise Unauthorized(
                "The request you have made requires authentication.",
                headers={"WWW-Authenticate": f'Keystone uri="{call.root_url}/identity"'},
            )
        call.caller = self.runtime.authenticate(tx, token)
        call.credentials = call.caller.credentials()
        if call.named_project not in (None, call.caller.project_id):
            raise BadRequest(
                f"Malformed request URL: URL's project_id '{call.named_project}' doesn't match Context's project_id "
                f"'{call.caller.project_id}'"
            )
        if call.caller.access_rules is not None and not _granted(call):
            raise Forbidden("The application credential's access rules do not allow this request.")
        if call.route.options.target is None:
            call.require(call.route.rule)

    async def _send_fault(self, send: Send, call: Call, error: ApiError, lines: Lines) -> None:
        error.microversion = call.microversion
        body = call.service.fault(error, call.request_id)
        reply = Reply(body, status=error.status, headers=error.headers)
        await _send_reply(send, reply, lines, call.request.method == "HEAD")


def _first_word(path: str) -> str:
    return path[1:].partition("/")[0]


def _lies_under(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")


def _own_lines(request_id: str, older_name: str | None = None) -> Lines:
    """The headers that say the request's id, the second as a service's older clients know it."""
    value = request_id.encode()
    lines = [(b"x-openstack-request-id", value)]
    if older_name:
        lines.append((older_name.lower().encode("latin-1"), value))
    return lines


@lru_cache(1024)
def _version_lines(versions: MicroversionRange, used: Microversion | None) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(_line(name, value) for name, value in versions.headers(used).items())


def _line(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1", "replace")


def _negotiate(call: Call, path: str, lines: Lines) -> str:
    """Settle which microversion the call speaks, and say it in `lines`; the path as the service's routes have it."""
    service = call.service
    address = Address(path) if service.readdress is None else service.readdress(path)
    call.named_project, call.microversion = address.project_id, address.version
    versions = service.microversions
    if versions is not None and address.version is None:
        try:
            call.microversion = versions.negotiate(call.request.headers)
        finally:  # who asks for a version that there is not is told which there are
            lines += _version_lines(versions, call.microversion)
    return address.path


def _granted(call: Call) -> bool:
    from stackyard.core.access import is_granted

    scope, service = call.request.scope, call.service
    own = scope["path"].removeprefix(scope["stackyard.mount"])
    mounts = (service.mount, *service.aliases)
    return is_granted(call.caller.access_rules or (), service.type, scope["method"], own, mounts)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; raises TooLarge past `limit` bytes, without reading further."""
    length = request.headers.get("content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise TooLarge(f"The request body has {length} bytes; the limit is {limit}.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"The request body is over the limit of {limit} bytes.")
        parts.append(part)
    return b"".join(parts)


def _plain_fault(error: ApiError, request_id: str) -> Reply:
    body = {"error": {"code": error.status, "title": error.title, "message": error.message, "request_id": request_id}}
    return Reply(body, status=error.status, headers=error.headers)


async def _send_answer(send: Send, call: Call, answer: Any, lines: Lines) -> int:
    if isinstance(answer, Response):
        for name, value in lines:
            answer.headers[name.decode("latin-1")] = value.decode("latin-1")
        await answer(call.request.scope, call.request.receive, cast("Any", send))
        return answer.status_code
    default = call.route.options.status
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    if reply.status is None:
        reply.status = 204 if reply.body is None and default == 200 else default
    await _send_reply(send, reply, lines, call.request.method == "HEAD")
    return reply.status


async def _send_reply(send: Send, reply: Reply, own: Lines, head: bool) -> None:
    body = reply.body
    content = b"" if body is None else body if isinstance(body, bytes) else _encode(body)
    lines = [*own, *(_line(name, value) for name, value in reply.headers.items())]
    status = reply.status or 200
    if body is not None:
        lines.append((b"content-type", reply.media_type.encode()))
    if status != 204:
        lines.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else content})
