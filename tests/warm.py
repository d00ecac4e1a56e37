"""What does not change from test to test is made once in each process: it is most of what making a cloud costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from stackyard.core import policy_file, routes
from stackyard.core.policy import PolicySet, Rule
from stackyard.core.policy_language import CheckSource
from stackyard.core.routes import Service, Trie

_tries: dict[int, tuple[Service, Trie]] = {}
_policies: list[tuple[tuple[Rule, ...], bool, PolicySet]] = []
_make_trie = Service.trie


def _trie(service: Service) -> Trie:
    if id(service) not in _tries:
        _tries[id(service)] = service, _make_trie(service)
    return _tries[id(service)][1]


def _policy_set(
    rules: Iterable[Rule], overrides: Mapping[str, CheckSource] | None = None, *, enforce_scope: bool = True
) -> PolicySet:
    wanted = tuple(rules)
    if overrides:
        return PolicySet(wanted, overrides, enforce_scope=enforce_scope)
    for known, scoped, made in _policies:
        if scoped == enforce_scope and known == wanted:
            return made
    _policies.append((wanted, enforce_scope, PolicySet(wanted, enforce_scope=enforce_scope)))
    return _policies[-1][2]


def share() -> None:
    """From now on clouds have the tables of routes and the compiled rules of those before; neither ever changes."""
    routes.Service.trie = _trie  # type: ignore[method-assign]
    policy_file.PolicySet = _policy_set  # type: ignore[misc, assignment]


@contextmanager
def one_loop() -> Iterator[None]:
    """Meanwhile all test clients send from one event loop, as a server has one, instead of making one a request."""
    with start_blocking_portal() as portal:
        TestClient.portal = portal
        try:
            yield
        finally:
            TestClient.portal = None
            portal.call(portal.stop, True)  # noqa: FBT003  what a failed test has left running ends with it
