"""HTTP to a Docker Engine over its unix socket: connections kept alive, version negotiated, errors mapped.

The standard library's client is enough, and imports in a tenth of the time that the Docker SDK takes.
"""

from __future__ import annotations

import contextlib
import http
import http.client
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from stackyard.host.errors import ConflictError, EngineUnavailableError, HostError, NotFoundError, SpecError

_OLDEST_API = (1, 41)
_NEWEST_API = (1, 43)
_CHUNK = 1 << 16
_REVIVE_INTERVAL = 5
_ERRORS: dict[int, type[HostError]] = {400: SpecError, 404: NotFoundError, 409: ConflictError, 413: SpecError}

Query = Mapping[str, str | int | bool | None]


class Reply(NamedTuple):
    """One whole answer of the engine."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage

    @property
    def message(self) -> str:
        """The engine's own words when it refused."""
        return error_message(self.body)

    def json(self) -> Any:
        """The decoded body; None when there is none."""
        return msgspec.json.decode(self.body) if self.body.strip() else None


class DockerHTTP:
    """Calls to one engine, from any thread. Raises EngineUnavailableError when it does not answer."""

    def __init__(self, socket_path: str, revive: Callable[[], None] | None = None) -> None:
        self.socket_path = socket_path
        self._revive = revive
        self._revived_at = 0.0
        self._idle: list[_UnixConnection] = []
        self._lock = threading.Lock()
        self._prefix: str | None = None

    def call(self, method: str, path: str, query: Query | None = None, body: Any = None, timeout: float = 60) -> Any:
        """The decoded answer; an error status becomes one of host.errors with the engine's message."""
        reply = self.request(method, path, query, body, timeout)
        raise_for_status(reply.status, reply.body)
        return reply.json()

    def request(
        self, method: str, path: str, query: Query | None = None, body: Any = None, timeout: float = 60
    ) -> Reply:
        """One request and its whole answer, whatever its status. `body` is sent as JSON, bytes as a tar."""
        connection = self._take(timeout)
        try:
            payload, headers = _encode(body)
            connection.request(method, self._target(path, query), payload, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.read(), response.headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unavailable(error, f"{method} {path}") from error
        self._give_back(connection)
        return reply

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 600,
    ) -> Iterator[StreamedReply]:
        """A request on a connection of its own, whose answer is read in chunks; `timeout` is for each of them."""
        connection = _UnixConnection(self.socket_path, timeout)
        try:
            payload, own = _encode(body)
            chunked = payload is not None and not isinstance(payload, bytes)
            target = self._target(path, query)
            # An engine that refuses an upload answers and hangs up before it has read all: the answer says why.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, target, payload, {**own, **(headers or {})}, encode_chunked=chunked)
            sock = connection.sock
            with connection.getresponse() as response:
                yield StreamedReply(sock, response)
        except (OSError, http.client.HTTPException) as error:
            raise self._unavailable(error, f"{method} {path}") from error
        finally:
            connection.close()

    def ping(self, timeout: float = 2) -> bool:
        """Whether an engine answers."""
        reply = self._unversioned("/_ping", timeout)
        return reply is not None and reply.status == http.HTTPStatus.OK

    def close(self) -> None:
        """Close the idle connections; a request under way keeps its own."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _target(self, path: str, query: Query | None) -> str:
        prefix = self._prefix or self._negotiate()
        given = {name: _query_value(value) for name, value in (query or {}).items() if value is not None}
        return f"{prefix}{path}?{urlencode(given)}" if given else prefix + path

    def _negotiate(self) -> str:
        """The newest API that both sides know. Docker 29 has forgotten the ones that older engines stop at."""
        reply = self._unversioned("/version", timeout=10)
        if reply is None or reply.status != http.HTTPStatus.OK:
            self._try_to_revive()
            raise EngineUnavailableError(f"no container engine answers at {self.socket_path}; is dockerd running?")
        document = reply.json()
        newest, oldest = (_version(document.get(key, "0.0")) for key in ("ApiVersion", "MinAPIVersion"))
        if newest < _OLDEST_API:
            offered = document.get("ApiVersion")
            raise SpecError(f"the engine at {self.socket_path} offers API {offered}; 1.41 (Docker 20.10) is needed")
        version = max(min(newest, _NEWEST_API), oldest)
        self._prefix = f"/v{version[0]}.{version[1]}"
        return self._prefix

    def _unversioned(self, path: str, timeout: float) -> Reply | None:
        connection = _UnixConnection(self.socket_path, timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Reply(response.status, response.read(), response.headers)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _take(self, timeout: float) -> _UnixConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _UnixConnection(self.socket_path, timeout)
            if connection.usable():
                connection.set_timeout(timeout)
                return connection
            connection.close()

    def _give_back(self, connection: _UnixConnection) -> None:
        if connection.sock is None:
            return
        with self._lock:
            self._idle.append(connection)

    def _try_to_revive(self) -> None:
        """Have an engine of our own that has gone started again, at most every few seconds; the call fails anyhow."""
        with self._lock:
            due = self._revive is not None and time.monotonic() - self._revived_at > _REVIVE_INTERVAL
            if due:
                self._revived_at = time.monotonic()
        if due and self._revive is not None:
            with contextlib.suppress(HostError, OSError):
                self._revive()

    def _unavailable(self, error: Exception, what: str) -> HostError:
        if isinstance(error, TimeoutError):
            return EngineUnavailableError(f"the engine at {self.socket_path} did not answer {what} in time")
        self._try_to_revive()
        detail = str(error) or type(error).__name__
        return EngineUnavailableError(f"the container engine at {self.socket_path} does not answer: {detail}")


class StreamedReply:
    """An answer being read."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self._sock = sock
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    def check(self) -> None:
        """Raise the engine's error, if it is one."""
        if self.status >= http.HTTPStatus.BAD_REQUEST:
            raise_for_status(self.status, self._response.read())

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes."""
        while chunk := self._response.read1(_CHUNK):
            yield chunk

    def interrupt(self) -> None:
        """Make a read that waits in another thread end now."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock

    def set_timeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.sock.settimeout(timeout)

    def usable(self) -> bool:
        """Whether the engine has kept its end open: an idle connection that is readable has been closed."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


def raise_for_status(status: int, body: bytes) -> None:
    """Raise what an error status means to a caller, with the engine's own words."""
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise _ERRORS.get(status, HostError)(error_message(body))


def error_message(body: bytes) -> str:
    """The text of the engine's error document."""
    with contextlib.suppress(msgspec.DecodeError):
        document = msgspec.json.decode(body)
        if isinstance(document, dict) and "message" in document:
            return str(document["message"]).strip()
    return body.decode(errors="replace").strip() or "the engine gave no reason"


def _encode(body: Any) -> tuple[bytes | Iterable[bytes] | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, dict):
        return msgspec.json.encode(body), {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/x-tar"}
    return body, headers if isinstance(body, bytes) else headers | {"Transfer-Encoding": "chunked"}


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _query_value(value: str | int | bool | None) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)
