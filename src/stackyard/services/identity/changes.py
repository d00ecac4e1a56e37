"""What every change of identity data entails, wherever it is made: a new generation, and an entry in a timeline."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.routes import Route
from stackyard.services.identity import generation

_DONE = {"POST": "created", "PUT": "set", "PATCH": "updated", "DELETE": "deleted"}


def note(tx: Transaction, call: Call, kind: str, resource_id: str) -> None:
    """Say that this transaction changed a resource as the call asked."""
    event = _DONE.get(call.route.method, "changed")
    by = f" by user {call.caller.user_id}" if call.caller.user_id else ""
    timeline.record(tx, kind, resource_id, event, f"{call.route.method} {_path(call)}{by}")
    generation.bump(tx)


def noting(route: Route) -> Route:
    """The same route, whose operation also notes what it changed, if it is one that writes in its transaction.

    What an edge operation writes it notes itself.
    """
    if not route.writes or route.options.edge:
        return route
    operation = route.operation

    @functools.wraps(operation)
    def run(tx: Transaction, call: Call) -> Any:
        answer = operation(tx, call)
        for kind, resource_id in _subjects(call, answer):
            note(tx, call, kind, resource_id)
        return answer

    options = {field.name: getattr(route.options, field.name) for field in dataclasses.fields(route.options)}
    return Route(route.method, route.path, run, route.rule, **options)


def _subjects(call: Call, answer: Any) -> list[tuple[str, str]]:
    """What a call is about: the resources it makes; of an assignment or membership the user or group; else the last
    thing its path names; the caller for his token.
    """
    envelope = call.route.options.envelope
    body = answer.body if isinstance(answer, Reply) else answer
    if envelope is not None and isinstance(body, dict) and "id" in body[envelope]:
        return [(envelope, str(body[envelope]["id"]))]
    if call.route.method == "POST" and isinstance(body, dict):
        together = [(kind, items) for kind, items in body.items() if isinstance(items, list)]
        if together:
            return [(kind.removesuffix("s"), str(item["id"])) for kind, items in together for item in items]
    for kind in ("user", "group"):
        if f"{kind}_id" in call.path:
            return [(kind, call.path[f"{kind}_id"])]
    named = [(name.removesuffix("_id"), value) for name, value in call.path.items() if name.endswith("_id")]
    return named[-1:] or [("user", call.caller.user_id)]


def _path(call: Call) -> str:
    return call.route.path.format_map({name: value[:64] for name, value in call.path.items()})
