"""One service asked by another on behalf of the same caller, in the same transaction: for APIs that stand for others.

Everything that holds for a request holds here too: the body is checked, the caller must pass the route's rule, faults
are those of the service that is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from stackyard.core.body import decode
from stackyard.core.call import Call, Reply, as_mapping
from stackyard.core.db import Transaction
from stackyard.core.routes import PUBLIC, Operation, Service, Trie


class Inner:
    """Asks one service: `Inner(SERVICE).ask(tx, call, "GET", "/v2.0/networks")`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._trie = Trie(service.routes)

    def prepare(
        self, tx: Transaction, call: Call, method: str, path: str, *, body: Any = None, query: Iterable[Any] = ()
    ) -> Call:
        """The call of `path` as the caller of `call` would make it: admitted, with its target; body and query as given.

        Raises what the service would: NotFound, Forbidden, BadRequest.
        """
        service, data = self.service, b"" if body is None else msgspec.json.encode(body)
        headers = [(b"content-length", str(len(data)).encode())]
        scope: dict[str, Any] = dict(call.request.scope) | {
            "method": method, "path": service.mount + path, "stackyard.mount": service.mount, "headers": headers,
            "query_string": urlencode(list(query)).encode(),
        }  # fmt: skip
        inner = Call(call.runtime, service, Request(scope), call.request_id)
        inner.caller, inner.credentials = call.caller, call.credentials
        if service.microversions is not None:
            inner.microversion = service.microversions.maximum
        inner.route, inner.path = self._trie.find(method, path, inner.microversion)
        options = inner.route.options
        if options.target is None and inner.route.rule != PUBLIC:
            inner.require(inner.route.rule)
        if options.body is not None:
            kind = options.body if isinstance(options.body, type) else cast("Any", options.body)(inner.microversion)
            inner.body = decode(data, kind, options.envelope)
        if options.target is not None:
            inner.target = options.target(tx, inner)
            if inner.route.rule != PUBLIC:
                inner.require(inner.route.rule, as_mapping(inner.target))
        return inner

    def ask(
        self,
        tx: Transaction,
        call: Call,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Iterable[Any] = (),
        operation: Operation | None = None,
    ) -> Any:
        """The body of the answer, as it would be decoded from JSON; None when there is none.

        `operation` takes the place of the route's, which must not be an edge one otherwise.
        """
        inner = self.prepare(tx, call, method, path, body=body, query=query)
        if inner.route.options.edge and operation is None:
            raise TypeError(f"{inner.route!r} opens transactions of its own")
        answer = (operation or inner.route.operation)(tx, inner)
        found = answer.body if isinstance(answer, Reply) else answer
        return msgspec.json.decode(found) if isinstance(found, bytes) else found
