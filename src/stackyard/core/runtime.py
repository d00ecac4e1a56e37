"""What a running cloud consists of, handed to every operation and reconciler; put together once, by the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from starlette.requests import HTTPConnection, Request

from stackyard.core.caller import Caller
from stackyard.core.config import Settings
from stackyard.core.db import Database, Transaction
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas

T = TypeVar("T")

Authenticator = Callable[[Transaction, str], Caller]
"""From a token to its caller; raises Unauthorized."""


class Key(Generic[T]):
    """The name, and by `T` the type, of something that the application provides and a service asks for."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _threads(name: str, count: int) -> Callable[[], ThreadPoolExecutor]:
    return lambda: ThreadPoolExecutor(count, thread_name_prefix=name)


_LONGEST_HOST = 300
"""Bytes of a Host header that are remembered: as many as a name and a port have."""


def _reached(scope: Mapping[str, Any]) -> str:
    """The address at which the client reached the cloud, without a trailing slash."""
    host = next((value for name, value in scope["headers"] if name == b"host"), None)
    server = scope.get("server")
    root_path = scope.get("app_root_path", scope.get("root_path", ""))
    work_out = _address if host is None or len(host) <= _LONGEST_HOST else _address.__wrapped__
    return work_out(scope.get("scheme", "http"), None if server is None else tuple(server), root_path, host)


@lru_cache(64)
def _address(scheme: str, server: tuple[str, int | None] | None, root_path: str, host: bytes | None) -> str:
    """What Starlette makes of these. It takes a tenth of a whole request, and clients know a cloud by few addresses."""
    headers = [] if host is None else [(b"host", host)]
    scope = {"type": "http", "scheme": scheme, "server": server, "root_path": root_path, "path": "", "headers": headers}
    return str(HTTPConnection(scope).base_url).rstrip("/")


@dataclass(slots=True)
class Runtime:
    """Settings, database, rules, quotas, threads, who authenticates, and what else is provided by `Key`."""

    settings: Settings
    database: Database
    policies: PolicySet
    quotas: Quotas
    authenticate: Authenticator
    provided: dict[str, Any] = field(default_factory=dict)
    threads: ThreadPoolExecutor = field(default_factory=_threads("request", 12))
    """Transactions of requests."""
    slow_threads: ThreadPoolExecutor = field(default_factory=_threads("slow", 24))
    """What requests wait for outside the database: the engine, files."""

    def provide(self, key: Key[T], value: T) -> None:
        """Give services `value` under `key`."""
        self.provided[key.name] = value

    def __getitem__(self, key: Key[T]) -> T:
        return cast("T", self.provided[key.name])

    def __contains__(self, key: Key[Any]) -> bool:
        return key.name in self.provided

    def root_url(self, request: Request) -> str:
        """The cloud's address: the configured public one, else as the client reached it."""
        configured = self.settings.server.public_url
        return configured.rstrip("/") if configured else _reached(request.scope)

    def close(self) -> None:
        """Stop the threads and the database."""
        self.threads.shutdown(cancel_futures=True)
        self.slow_threads.shutdown(wait=False, cancel_futures=True)
        self.database.close()
