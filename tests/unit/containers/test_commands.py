"""Commands inside containers: bounded in number and in how long a request waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from stackyard.core.errors import Conflict, ServiceUnavailable
from stackyard.host.errors import ConflictError
from stackyard.host.specs import ExecResult
from stackyard.services.containers.containers import commands


class Engine:
    """Runs commands that end when they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def execute(self, container_id: str, command: tuple[str, ...]) -> ExecResult:
        if command == ("fail",):
            raise ConflictError(f"container {container_id} is not running")
        if command == ("wait",):
            self.go.wait(10)
        return ExecResult(output=b"done", exit_code=0)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.go.set()


def run(engine: Engine, command: str) -> ExecResult:
    return asyncio.run(commands.run(engine, "x", (command,)))  # type: ignore[arg-type]


def test_output_and_failure_come_back(engine: Engine) -> None:
    assert run(engine, "true").output == b"done"
    with pytest.raises(ConflictError, match="not running"):
        run(engine, "fail")


def test_an_endless_command_does_not_hold_the_request(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LONGEST_SECONDS", 0.05)
    with pytest.raises(Conflict, match="Timeout"):
        run(engine, "wait")


def test_only_so_many_run_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(commands, "LONGEST_SECONDS", 0.05)
    with pytest.raises(Conflict):
        run(engine, "wait")
    with pytest.raises(ServiceUnavailable, match="try again"):
        run(engine, "true")
