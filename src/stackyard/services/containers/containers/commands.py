"""Running commands inside containers: each in a thread of its own, since it ends when the user's command ends.

The request threads would otherwise be used up by a few commands that never end. A process that ends does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from stackyard.core.errors import Conflict, ServiceUnavailable
from stackyard.host.containers import ContainerEngine
from stackyard.host.specs import ExecResult

MOST_AT_ONCE = 64
LONGEST_SECONDS = 300.0
"""After this the request ends; the command goes on inside the container."""

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


async def run(engine: ContainerEngine, uuid: str, command: tuple[str, ...]) -> ExecResult:
    """Run it and wait for its end. Raises what the engine raises, Conflict when it takes too long."""
    slots = _slots
    if not slots.acquire(blocking=False):
        raise ServiceUnavailable(f"{MOST_AT_ONCE} commands run inside containers now, as many as may; try again later.")
    loop = asyncio.get_running_loop()
    result: asyncio.Future[ExecResult] = loop.create_future()

    def finish(value: ExecResult | None, error: Exception | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        elif value is not None:
            result.set_result(value)

    def work() -> None:
        value: ExecResult | None = None
        failure: Exception | None = None
        try:
            value = engine.execute(uuid, command)
        except Exception as error:  # noqa: BLE001  handed to whoever waits
            failure = error
        finally:
            slots.release()
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(finish, value, failure)

    threading.Thread(target=work, name="container-command", daemon=True).start()
    try:
        return await asyncio.wait_for(result, LONGEST_SECONDS)
    except TimeoutError:
        raise Conflict(f"Timeout on executing command: it has not ended after {LONGEST_SECONDS:g} seconds.") from None
