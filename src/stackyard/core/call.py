"""One call in flight: all that an operation may want to know of the request, and the answers it may give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from stackyard.core.caller import ANONYMOUS, Caller
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.log import request_id_var
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route, Service

if TYPE_CHECKING:
    from stackyard.core.db import TransactionFunction
    from stackyard.core.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")


class Reply:
    """An answer that is more than a JSON body: another status, headers, or bytes of another type."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: Any = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        self.media_type = media_type


class Query:
    """The query string, parsed once; a key may come several times."""

    __slots__ = ("_pairs",)

    def __init__(self, raw: bytes | str) -> None:
        text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
        self._pairs = parse_qsl(text, keep_blank_values=True) if text else []

    def get(self, key: str, default: str | None = None) -> str | None:
        """The last value of a key."""
        found = default
        for name, value in self._pairs:
            if name == key:
                found = value
        return found

    def all(self, key: str) -> list[str]:
        """Every value of a key, in order."""
        return [value for name, value in self._pairs if name == key]

    def keys(self) -> list[str]:
        """The keys, each once, in order."""
        return list(dict.fromkeys(name for name, _ in self._pairs))

    def pairs(self) -> list[tuple[str, str]]:
        """All of it."""
        return list(self._pairs)

    def boolean(self, key: str, default: bool = False) -> bool:
        """A flag: present without a value, or true/1/yes/on, is true; BadRequest for any other word."""
        value = self.get(key)
        return default if value is None else parse_boolean(key, value or "true")

    def integer(self, key: str, default: int) -> int:
        """A whole number; BadRequest otherwise."""
        value = self.get(key)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise BadRequest(f"Invalid input for {key}: '{value}' is not an integer.") from None


def parse_boolean(name: str, value: str) -> bool:
    """Read a boolean as OpenStack's clients write it; BadRequest naming `name` otherwise."""
    word = value.lower()
    if word in ("true", "1", "yes", "on", "t", "y"):
        return True
    if word in ("false", "0", "no", "off", "f", "n"):
        return False
    raise BadRequest(f"Invalid input for {name}: '{value}' is not a boolean.")


class Call:
    """A request on its way: route and parameters, caller, decoded body, and the target its rule was checked against."""

    __slots__ = (
        "body",
        "caller",
        "credentials",
        "microversion",
        "named_project",
        "path",
        "query",
        "request",
        "request_id",
        "route",
        "runtime",
        "service",
        "target",
    )

    def __init__(self, runtime: Runtime, service: Service, request: Request, request_id: str) -> None:
        self.runtime = runtime
        self.service = service
        self.request = request
        self.request_id = request_id
        self.route: Route
        self.path: dict[str, str] = {}
        self.query = Query(request.scope.get("query_string", b""))
        self.caller: Caller = ANONYMOUS
        self.credentials: Mapping[str, Any] = {}
        self.microversion: Microversion | None = None
        self.named_project: str | None = None
        self.body: Any = None
        self.target: Any = None

    def default_target(self) -> dict[str, Any]:
        """What a rule looks at when the route loads no target: the path's parameters, and the caller's own project."""
        caller = self.caller
        return {
            "project_id": caller.project_id,
            "tenant_id": caller.project_id,
            "user_id": caller.user_id,
            "domain_id": caller.domain_id,
            **self.path,
        }

    def allows(self, rule: str, target: Any = None) -> bool:
        """Whether the caller passes `rule` on `target` (a mapping, or a row)."""
        found = self.default_target() if target is None else as_mapping(target)
        return self.runtime.policies.allows(rule, self.credentials, found)

    def require(self, rule: str, target: Any = None) -> None:
        """Raise Forbidden, naming the rule, unless the caller passes it."""
        if not self.allows(rule, target):
            raise Forbidden(f"Policy does not allow {rule} to be performed.", kind="PolicyNotAuthorized")

    def since(self, major: int, minor: int) -> bool:
        """Whether the call speaks at least this microversion."""
        return self.microversion is not None and self.microversion >= (major, minor)

    @property
    def root_url(self) -> str:
        """The address of the whole cloud as the client reached it, without a trailing slash."""
        return self.runtime.root_url(self.request)

    def url(self, path: str = "") -> str:
        """The address of `path` below this service as the client reached it (its mount, alias or classic port)."""
        return f"{self.root_url}{self.request.scope.get('stackyard.mount', self.service.mount)}{path}"

    async def read(self, name: str, function: TransactionFunction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """From an edge operation: run a reading transaction function, in a worker thread where it may have to wait."""
        run = self.runtime.database.read
        if self.runtime.database.reads_at_once:
            return run(name, function, *args, **kwargs)
        return await self._in_thread(lambda: run(name, function, *args, **kwargs))

    async def write(self, name: str, function: TransactionFunction[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """From an edge operation: run a writing transaction function in a worker thread."""
        run = self.runtime.database.write
        return await self._in_thread(lambda: run(name, function, *args, **kwargs))

    async def in_thread(self, function: Any, *args: Any) -> Any:
        """From an edge operation: run what is slow but no transaction (the engine, a file) in a thread."""

        def run() -> Any:
            request_id_var.set(self.request_id)
            return function(*args)

        return await asyncio.get_running_loop().run_in_executor(self.runtime.slow_threads, run)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        def run() -> T:
            request_id_var.set(self.request_id)
            return function()

        return await asyncio.get_running_loop().run_in_executor(self.runtime.threads, run)


def as_mapping(target: Any) -> Mapping[str, Any]:
    """A row, a struct or a mapping, as the mapping that rules look at."""
    if isinstance(target, Mapping):
        return target
    mapping = getattr(target, "_mapping", None)
    if mapping is not None:
        return mapping  # type: ignore[no-any-return]
    return {name: getattr(target, name) for name in target.__struct_fields__}
