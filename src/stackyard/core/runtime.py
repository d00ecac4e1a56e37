"""What a running cloud consists of, handed to every operation and reconciler; put together once, by the application."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from starlette.requests import Request

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
        return configured.rstrip("/") if configured else str(request.base_url).rstrip("/")

    def close(self) -> None:
        """Stop the threads and the database."""
        self.threads.shutdown(cancel_futures=True)
        self.slow_threads.shutdown(wait=False, cancel_futures=True)
        self.database.close()
