"""What is asked of a container as it is now, and answered from the engine: logs, commands, signals, files, use.

None of this is kept as a wish, so none of it is repeated after a crash.
"""

from __future__ import annotations

import base64
import binascii
import shlex
import signal as signals
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.dispatch import read_body
from stackyard.core.errors import BadRequest, InvalidField, NotImplementedHere
from stackyard.host.containers import ContainerEngine
from stackyard.host.specs import ContainerStats, ProcessTable
from stackyard.services.containers import action_log
from stackyard.services.containers.containers import commands, states
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.values import (
    Flag,
    decode_mapping,
    flag,
    nothing_for_none,
    parameters,
    whole,
)
from stackyard.services.containers.faults import as_api_errors
from stackyard.services.keys import ENGINE

T = TypeVar("T")

_NO_TERMINAL = (
    "Interactive sessions (attach, exec without run) are not offered by this cloud yet; "
    "run a command and read its output with run=true."
)


async def _asked(call: Call, kind: type[T]) -> T:
    data = await read_body(call.request, call.runtime.settings.limits.max_body)
    return parameters(kind, call.query, decode_mapping(data))


def _engine(call: Call) -> ContainerEngine:
    return call.runtime[ENGINE]


class LogParameters(Body):
    """Which lines."""

    stdout: Flag = True
    stderr: Flag = True
    timestamps: Flag = False
    tail: int | str | None = None
    since: int | str | None = None


async def logs(call: Call) -> Reply:
    """GET .../logs: everything that it has printed, as one JSON string."""
    states.require(call.target, "logs")
    asked = parameters(LogParameters, call.query)
    tail = nothing_for_none(str(asked.tail)) if asked.tail is not None else None
    lines = None if tail in (None, "all", "") else whole("tail", tail, 0, 2**31 - 1)
    since = _moment(asked.since)
    stdout, stderr = flag("stdout", asked.stdout), flag("stderr", asked.stderr)
    stamps, engine, uuid = flag("timestamps", asked.timestamps), _engine(call), call.target.uuid

    def read() -> bytes:
        return engine.logs(uuid, stdout=stdout, stderr=stderr, timestamps=stamps, tail=lines, since=since)

    if call.target.observed == {}:
        return Reply("")
    with as_api_errors():
        printed: bytes = await call.in_thread(read)
    return Reply(printed.decode("utf-8", "replace"))


def _moment(since: int | str | None) -> float | None:
    if since is None or since in ("None", ""):
        return None
    text = str(since)
    if text.isascii() and text.isdigit() and len(text) < 12:
        return float(text)
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        reason = f"'{text}' is neither a Unix time nor of the form 2026-01-31 12:00:00,000."
        raise InvalidField("since", reason, kind="SchemaValidationError") from None


class ExecuteParameters(Body):
    """A command, split as a shell would."""

    command: Annotated[str, Meta(min_length=1)]
    run: Flag = True
    interactive: Flag = False


async def execute(call: Call) -> dict[str, Any]:
    """POST .../execute: run a command inside and answer with its output and exit code."""
    states.require(call.target, "execute")
    asked = await _asked(call, ExecuteParameters)
    if not flag("run", asked.run) or flag("interactive", asked.interactive):
        raise NotImplementedHere(_NO_TERMINAL)
    try:
        command = tuple(shlex.split(asked.command))
    except ValueError as error:
        raise InvalidField("command", f"it cannot be split as a shell would: {error}.") from None
    if not command:
        raise InvalidField("command", "it is empty.")
    with as_api_errors():
        result = await commands.run(_engine(call), call.target.uuid, command)
    output = result.output.decode("utf-8", "replace")
    return {"output": output, "exit_code": result.exit_code, "exec_id": None, "proxy_url": None}


async def no_terminal(call: Call) -> None:
    """GET .../attach, POST .../resize and .../execute_resize: there are no interactive sessions."""
    states.require(call.target, call.path.get("action", "attach"))
    raise NotImplementedHere(_NO_TERMINAL)


class KillParameters(Body):
    """A signal, by name or number."""

    signal: int | str | None = None


async def kill(call: Call) -> Reply:
    """POST .../kill?signal=: SIGKILL when none is named."""
    states.require(call.target, "kill")
    name = _signal((await _asked(call, KillParameters)).signal)
    uuid, kind = call.target.uuid, reconcile.kind_on(KIND, call.target.host)

    def asked(tx: Transaction) -> None:
        action_log.begin(tx, call, uuid, "kill")
        timeline.record(tx, KIND, uuid, "kill asked", name)

    def sent(tx: Transaction) -> None:
        action_log.finish(tx, uuid)
        reconcile.mark(tx, kind, uuid)

    await call.write("containers.kill asked", asked)
    with as_api_errors():
        await call.in_thread(_engine(call).kill, uuid, name)
    await call.write("containers.kill sent", sent)
    return Reply(status=202)


def _signal(given: int | str | None) -> str:
    text = nothing_for_none(str(given)) if given is not None else None
    if text is None:
        return "SIGKILL"
    if text.isascii() and text.isdigit() and int(text[:4]) in {int(known) for known in signals.Signals}:
        return signals.Signals(int(text)).name
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signals.Signals.__members__:
        raise InvalidField("signal", f"'{text}' is no signal.", kind="SchemaValidationError")
    return name


async def stats(call: Call) -> dict[str, Any]:
    """GET .../stats: use of resources, sampled now."""
    states.require(call.target, "stats")
    with as_api_errors():
        used: ContainerStats = await call.in_thread(_engine(call).stats, call.target.uuid)
    mib = 1024 * 1024
    limit = used.memory_limit or call.target.memory * mib
    return {
        "CONTAINER": call.target.name,
        "CPU %": used.cpu_percent,
        "MEM USAGE(MiB)": used.memory_used / mib,
        "MEM LIMIT(MiB)": limit / mib,
        "MEM %": used.memory_used / limit * 100 if limit else 0.0,
        "BLOCK I/O(B)": f"{used.block_read}/{used.block_written}",
        "NET I/O(B)": f"{used.network_received}/{used.network_sent}",
    }


class TopParameters(Body):
    """Arguments of ps."""

    ps_args: Annotated[str, Meta(max_length=255, pattern=r"\A[a-zA-Z0-9- ,+]*\Z")] | None = None


async def top(call: Call) -> dict[str, Any]:
    """GET .../top?ps_args=."""
    states.require(call.target, "top")
    asked = nothing_for_none(parameters(TopParameters, call.query).ps_args)
    with as_api_errors():
        found: ProcessTable = await call.in_thread(_engine(call).top, call.target.uuid, asked or None)
    return {"Processes": [list(process) for process in found.processes], "Titles": list(found.titles)}


class ArchiveParameters(Body):
    """Where in the container, and for put the tar."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    data: str | None = None


async def get_archive(call: Call) -> dict[str, Any]:
    """GET .../get_archive?path=: a tar, base64 from 1.25."""
    states.require(call.target, "get_archive")
    asked = parameters(ArchiveParameters, call.query)
    with as_api_errors():
        data, stat = await call.in_thread(_engine(call).get_archive, call.target.uuid, asked.path)
    if call.since(1, 25):
        return {"data": base64.b64encode(data).decode(), "stat": stat}
    try:
        return {"data": data.decode("utf-8"), "stat": stat}
    except UnicodeDecodeError:
        raise BadRequest("The archive is not text; API version 1.25 and later encode it.", kind="Invalid") from None


async def put_archive(call: Call) -> Reply:
    """POST .../put_archive?path=: unpack a tar, base64 from 1.25."""
    states.require(call.target, "put_archive")
    asked = await _asked(call, ArchiveParameters)
    if asked.data is None:
        raise InvalidField("data", "it is missing.", kind="SchemaValidationError")
    try:
        data = base64.b64decode(asked.data, validate=True) if call.since(1, 25) else asked.data.encode()
    except (binascii.Error, ValueError):
        raise InvalidField("data", "it is not base64.", kind="Base64Exception") from None
    with as_api_errors():
        await call.in_thread(_engine(call).put_archive, call.target.uuid, asked.path, data)
    return Reply(status=200)
