"""What the drivers of this cloud can do with a server of a kind, asked before a task is begun for it."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.errors import Conflict, NotImplementedHere
from stackyard.host.machines import MachineDriver
from stackyard.services import keys

_KINDS = {"machine": "virtual machines", "container": "containers", "system": "system containers"}


def require(call: Call, server: Any, ability: str) -> None:
    """Raise NotImplementedHere (501) when servers of this kind cannot do that at all."""
    driver = call.runtime[keys.MACHINES].get(server.kind)
    if driver is not None and ability not in driver.abilities:
        raise NotImplementedHere(
            f"The requested functionality is not supported: {_KINDS.get(server.kind, server.kind)} of this cloud "
            f"cannot do that ({ability.replace('_', ' ')})."
        )


def driver_of(call: Call, server: Any, ability: str) -> MachineDriver:
    """The driver of a server that runs on this host, to be asked at once.

    Raises NotImplementedHere, Conflict (InstanceNotReady) when the server is on no host, or on another one.
    """
    require(call, server, ability)
    driver = call.runtime[keys.MACHINES].get(server.kind)
    if server.host is None or server.host != call.runtime[keys.HOST_NAME] or driver is None:
        where = f" here: it runs on {server.host}" if server.host else ""
        raise Conflict(f"Instance {server.id} is not ready{where}", kind="InstanceNotReady")
    return driver
