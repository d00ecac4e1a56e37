"""Consoles of servers on other hosts: the host of the server shows them, by the channel between hosts."""

from __future__ import annotations

import socket
from typing import Any

from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines import MachineDriver
from stackyard.services import keys
from stackyard.services.compute.peers import PEERS, Call, Handler
from stackyard.services.compute.peers.relay import in_background, relay
from stackyard.services.compute.peers.stream import Stream

_CONNECT_SECONDS = 10.0


def is_elsewhere(runtime: Runtime, host: str | None) -> bool:
    """Whether a server of this host is another process's to show."""
    return bool(host) and host != runtime[keys.HOST_NAME]


def printed(runtime: Runtime, server: Any, length: int | None) -> str:
    """What the server has printed, the last `length` lines of it. Blocks; raises HostError, SpecError."""
    return str(runtime[PEERS].ask(server.host, server.id, "console_output", length=length))


def check(runtime: Runtime, server: Any, console: str) -> None:
    """Raises HostError or SpecError unless the server has such a console. Blocks."""
    runtime[PEERS].ask(server.host, server.id, "has_console", console=console)


def connect(runtime: Runtime, server_id: str, host: str, console: str) -> socket.socket:
    """A socket whose other end is the console. Blocks; raises HostError, SpecError."""
    _, stream = runtime[PEERS].call(host, server_id, "console", console=console)
    near, far = socket.socketpair()
    in_background(stream.socket, far, "console")
    return near


# -- what this host answers to others


def _driver(runtime: Runtime, call: Call, ability: str) -> MachineDriver:
    driver = runtime[keys.MACHINES].get(call.server.kind)
    if driver is None or ability not in driver.abilities:
        raise SpecError(f"servers of the kind {call.server.kind} do not have it")
    return driver


def _output(runtime: Runtime, call: Call, stream: Stream) -> None:
    driver = _driver(runtime, call, "console_output")
    length = call.arguments.get("length")
    stream.answer(driver.console_output(call.server.id, length if isinstance(length, int) else None))


def _has(runtime: Runtime, call: Call, stream: Stream) -> None:
    console = _kind(call)
    _driver(runtime, call, console).console(call.server.id, console)
    stream.answer(console)


def _console(runtime: Runtime, call: Call, stream: Stream) -> None:
    console = _kind(call)
    endpoint = _driver(runtime, call, console).console(call.server.id, console)
    inner = socket.socket(socket.AF_UNIX)
    try:
        inner.settimeout(_CONNECT_SECONDS)
        inner.connect(endpoint.path)
        stream.answer(console)
    except OSError as error:
        inner.close()
        raise HostError(f"the console does not answer: {error}") from error
    except BaseException:
        inner.close()
        raise
    relay(stream.socket, inner)


def _kind(call: Call) -> str:
    console = call.arguments.get("console")
    if console not in ("vnc", "serial"):
        raise SpecError("there is no such console")
    return str(console)


LOOKERS: dict[str, Handler] = {"console_output": _output, "has_console": _has, "console": _console}
