"""A service's API asked from within the process, as a part of somebody else's transaction.

Everything that holds for a request holds here too: the body is checked, the caller must pass the route's rule, faults
are the service's own; but there is no HTTP, and all that is done in the transaction is done, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from stackyard.core.body import decode
from stackyard.core.call import Call, Reply, as_mapping
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var
from stackyard.core.routes import PUBLIC, Operation, Service, Trie
from stackyard.core.runtime import Runtime


class Inner:
    """Asks one service for one caller: `Inner(SERVICE, trie, runtime, caller).ask(tx, "GET", "/v2.0/networks")`."""

    def __init__(self, service: Service, trie: Trie, runtime: Runtime, caller: Caller) -> None:
        self._service, self._trie = service, trie
        self._runtime, self._caller = runtime, caller

    def prepare(
        self, tx: Transaction, method: str, path: str, *, body: Any = None, query: Iterable[tuple[str, Any]] = ()
    ) -> Call:
        """The call as the caller would make it, admitted, with its body and target; at the newest microversion.

        Raises what the service would: NotFound, Forbidden, BadRequest.
        """
        service, caller = self._service, self._caller
        call = Call(self._runtime, service, _request(method, path, query), request_id_var.get() or new_request_id())
        if service.microversions is not None:
            call.microversion = service.microversions.maximum
        call.route, call.path = self._trie.find(method, path, call.microversion)
        call.caller, call.credentials = caller, caller.credentials()
        options = call.route.options
        if options.target is None and call.route.rule != PUBLIC:
            call.require(call.route.rule)
        if options.body is not None:
            kind: Any = options.body
            resolved = kind if isinstance(kind, type) else kind(call.microversion)
            call.body = decode(msgspec.json.encode(body), resolved, options.envelope)
        if options.target is not None:
            call.target = options.target(tx, call)
            if call.route.rule != PUBLIC:
                call.require(call.route.rule, as_mapping(call.target))
        return call

    def ask(
        self,
        tx: Transaction,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Iterable[tuple[str, Any]] = (),
        operation: Operation | None = None,
    ) -> Any:
        """The body of the answer, decoded; None when there is none.

        `operation` takes the place of the route's, which must not be one that opens transactions of its own otherwise.
        """
        call = self.prepare(tx, method, path, body=body, query=query)
        if call.route.options.edge and operation is None:
            raise ValueError(f"{call.route.label} opens transactions of its own")
        answer = (operation or call.route.operation)(tx, call)
        found = answer.body if isinstance(answer, Reply) else answer
        return msgspec.json.decode(found) if isinstance(found, bytes) else found


def _request(method: str, path: str, query: Iterable[tuple[str, Any]]) -> Request:
    scope = {
        "type": "http", "method": method, "path": path, "headers": [], "query_string": urlencode(list(query)).encode(),
        "scheme": "http", "server": ("127.0.0.1", 80), "stackyard.mount": "",
    }  # fmt: skip
    return Request(scope)
