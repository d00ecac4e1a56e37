"""A server's driver, where the server is on this host, and its errors as faults of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stackyard.core.call import Call
from stackyard.core.errors import BadRequest, Conflict, NotFound, NotImplementedHere, ServiceUnavailable
from stackyard.core.runtime import Runtime
from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError
from stackyard.host.machines import MachineDriver
from stackyard.services import keys


def driver_of(runtime: Runtime, server: Any) -> MachineDriver:
    """The driver that runs the server; raises Conflict while no host has it, or when another host has it."""
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", kind="InstanceNotReady")
    if server.host != runtime[keys.HOST_NAME]:
        raise Conflict(
            f"Instance {server.id} runs on host {server.host}; ask the cloud's process there for its console.",
            kind="InstanceNotReady",
        )
    driver = runtime[keys.MACHINES].get(server.kind)
    if driver is None:
        raise NotImplementedHere(f"Host {server.host} cannot run servers of the kind '{server.kind}'.")
    return driver


def refuse_leaving(server: Any, action: str) -> None:
    """Raise Conflict for a server that is being deleted or moved."""
    if server.task_state in ("deleting", "migrating"):
        raise Conflict(
            f"Cannot '{action}' instance {server.id} while it is in task_state {server.task_state}",
            kind="InstanceInvalidState",
        )


@contextmanager
def as_api_errors(call: Call, server: Any) -> Iterator[None]:
    """Turn what a driver raises into faults of the API."""
    del call
    try:
        yield
    except NotFoundError as error:
        if server.vm_state == "building":
            raise Conflict(f"Instance {server.id} is not ready", kind="InstanceNotReady") from error
        raise NotFound(f"Instance {server.id} could not be found.", kind="InstanceNotFound") from error
    except ConflictError as error:
        raise Conflict(str(error), kind="InstanceNotReady") from error
    except SpecError as error:
        raise BadRequest(str(error), kind="ConsoleTypeUnavailable") from error
    except HostError as error:
        raise ServiceUnavailable(str(error)) from error
