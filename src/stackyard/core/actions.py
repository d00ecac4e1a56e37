"""POST .../{id}/action: one address for everything that can be done to a resource, told apart by the body's one key.

Each action is declared with its own rule, body and microversions, as a route is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stackyard.core.body import convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action: `operation(tx, call, body)` in a writing transaction, or, an edge one, `async operation(call, body)`.

    `call.target` is the resource's row, on which `rule` has been checked already. `body` is the type of what stands
    under `name`, or a function from the microversion to it; None: it is null, or an empty object, or anything at all.
    `status` is that of a success whose operation returns no Reply.
    """

    name: str
    operation: Callable[..., Any]
    rule: str
    body: Any = None
    status: int = 202
    edge: bool = False
    since: Microversion | None = None
    until: Microversion | None = None

    def speaks(self, version: Microversion | None) -> bool:
        """Whether the action exists at this microversion."""
        if version is None:
            return True
        return (self.since is None or version >= self.since) and (self.until is None or version <= self.until)


Load = Callable[[Transaction, Call], Any]
"""Finds the resource that the address names; raises NotFound."""


def endpoint(actions: tuple[Action, ...], load: Load, noun: str) -> Callable[[Call], Any]:
    """The edge operation that serves these actions; several of one name must differ in microversions.

    `noun` names its transactions (servers, volumes).
    """
    named: dict[str, list[Action]] = {}
    for action in actions:
        named.setdefault(action.name, []).append(action)

    async def act(call: Call) -> Reply:
        """POST .../action: the one thing that the body's key names."""
        action, given = _chosen(named, call)
        if action.edge:
            call.target = await call.read(f"{noun}.{action.name}", _authorized, call, load, action)
            answer = await action.operation(call, _body(action, call, given))
        else:
            answer = await call.write(f"{noun}.{action.name}", _run, call, load, action, given)
        if isinstance(answer, Reply):
            answer.status = answer.status or action.status
            return answer
        return Reply(answer, status=action.status)

    vars(act)["actions"] = actions  # for who walks all that can be asked
    return act


def _chosen(named: Mapping[str, list[Action]], call: Call) -> tuple[Action, Any]:
    document = call.body
    if not isinstance(document, dict) or len(document) != 1:
        raise BadRequest("There is not exactly one action: the body is an object with one key, the action's name.")
    name, given = next(iter(document.items()))
    for action in named.get(name, ()):
        if action.speaks(call.microversion):
            return action, given
    raise BadRequest(f"There is no such action: {name[:255]}")


def _authorized(tx: Transaction, call: Call, load: Load, action: Action) -> Any:
    found = load(tx, call)
    call.require(action.rule, found)
    return found


def _body(action: Action, call: Call, given: Any) -> Any:
    if action.body is None:
        return given
    kind = action.body if isinstance(action.body, type) else action.body(call.microversion)
    return convert({} if given is None else given, kind, action.name)


def _run(tx: Transaction, call: Call, load: Load, action: Action, given: Any) -> Any:
    call.target = _authorized(tx, call, load, action)
    return action.operation(tx, call, _body(action, call, given))
