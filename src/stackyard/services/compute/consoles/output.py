"""os-getConsoleOutput: what a server has printed."""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.errors import NotImplementedHere
from stackyard.services.compute.consoles import elsewhere
from stackyard.services.compute.consoles.access import as_api_errors, driver_of

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f]")


class Asked(Body):
    """How much of it: the last `length` lines; -1 or none: all."""

    length: Annotated[int, Meta(ge=-1)] | Annotated[str, Meta(max_length=20, pattern=r"\A-?[0-9]+\Z")] | None = None


async def show(call: Call, asked: Asked) -> dict[str, Any]:
    """What the server has printed on its console, without what is neither a character nor a line's end."""
    server = call.target
    length = None if asked.length is None or int(asked.length) < 0 else min(int(asked.length), 2**31)
    most = None if length is None else length + 1
    if elsewhere.is_elsewhere(call.runtime, server.host):
        with as_api_errors(call, server):
            printed: str = await call.in_thread(elsewhere.printed, call.runtime, server, most)
    else:
        driver = driver_of(call.runtime, server)
        if "console_output" not in driver.abilities:
            raise NotImplementedHere("Unable to get the console's output: this kind of server keeps none.")
        with as_api_errors(call, server):
            printed = await call.in_thread(driver.console_output, server.id, most)
    shown = _CONTROL.sub("", printed.encode("utf-8", "replace").decode("ascii", "replace"))
    return {"output": tail(shown, length)}


def tail(text: str, length: int | None) -> str:
    """The last lines, counted as Nova does: what follows the last line's end is a line too, empty or not."""
    if length is None:
        return text
    return "\n".join(text.split("\n")[-length:]) if length else ""
