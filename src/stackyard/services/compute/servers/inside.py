"""What is asked of a running server's host at once: a new password inside, a crash dump, diagnostics."""

from __future__ import annotations

from typing import Any

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines import MachineDriver
from stackyard.host.specs import MachineDiagnostics, MachineObservation
from stackyard.services.compute.rules import ADMIN, MEMBER
from stackyard.services.compute.servers import abilities, finding, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require, require_launched

_S = VmState
CAN_DUMP = (_S.ACTIVE, _S.PAUSED, _S.RESCUED, _S.RESIZED, _S.ERROR)
DEFAULT_USER = "root"
_KIB = 1024


class Password(Body):
    """`{"changePassword": {"adminPass": "..."}}`."""

    adminPass: str  # noqa: N815  as the API has it


async def change_password(call: Call, body: Password) -> None:
    """Change the password of the system's administrator inside. It is handed on, and written down nowhere."""
    server = call.target
    tasks.require_unlocked(call, server, "changePassword")
    require(server, "changePassword", (_S.ACTIVE,))
    require_launched(server, "changePassword")
    driver = abilities.driver_of(call, server, "password")
    properties = server.image.get("properties") or {}
    user = str(properties.get("os_admin_user") or DEFAULT_USER)

    def change() -> None:
        try:
            driver.set_password(server.id, user, body.adminPass)
        except HostError as error:
            raise Conflict(
                f"Failed to set admin password on {server.id} because {error}", kind="InstancePasswordSetFailed"
            ) from error

    await _do(call, server, "changePassword", change)


async def trigger_crash_dump(call: Call, body: Any) -> None:
    """Have the server's kernel crash (a non-maskable interrupt), so that it writes a dump, if it is set up to."""
    if body is not None:
        raise BadRequest("Invalid input for field/attribute trigger_crash_dump: it is to be null.")
    server = call.target
    tasks.require_unlocked(call, server, "trigger_crash_dump")
    require(server, "trigger_crash_dump", CAN_DUMP)
    require_launched(server, "trigger_crash_dump")
    driver = abilities.driver_of(call, server, "crash_dump")

    def crash() -> None:
        try:
            driver.crash_dump(server.id)
        except HostError as error:
            raise Conflict(f"Instance {server.id} cannot be made to crash: {error}") from error

    await _do(call, server, "trigger_crash_dump", crash)


async def _do(call: Call, server: Any, action: str, change: Any) -> None:
    """Do something on the host within the request, and write it down as an action of the server."""
    failure: ApiError | None = None
    try:
        await call.in_thread(change)
    except ApiError as error:
        failure = error
    await call.write(f"servers.{action} done", _done, call, server, action, "Error" if failure else None)
    if failure is not None:
        raise failure


def _done(tx: Transaction, call: Call, server: Any, action: str, message: str | None) -> None:
    tasks.record(tx, call, server, action, finished=True, message=message)


async def diagnostics(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/diagnostics: use, sampled now."""
    server = call.target
    driver = abilities.driver_of(call, server, "diagnostics")
    seen, used = await call.in_thread(_ask, driver, server)
    return _view(server, seen, used) if call.since(2, 48) else _old_view(used)


def _ask(driver: MachineDriver, server: Any) -> tuple[MachineObservation, MachineDiagnostics]:
    try:
        seen = driver.inspect(server.id)
        state = "pending" if seen is None else _STATES.get(seen.state, "pending")
        if seen is None or state != "running":
            raise Conflict(
                f"Cannot 'get_diagnostics' instance {server.id} while it is in power state {state}",
                kind="InstanceInvalidState",
            )
        return seen, driver.diagnostics(server.id)
    except SpecError as error:
        raise Conflict(str(error)) from error
    except HostError as error:
        raise Conflict(f"Instance {server.id} cannot be asked now: {error}", kind="InstanceInvalidState") from error


_STATES = {
    "running": "running",
    "paused": "paused",
    "crashed": "crashed",
    "suspended": "suspended",
    "stopped": "shutdown",
}
_NIC = (
    "rx_octets", "rx_errors", "rx_drop", "rx_packets", "rx_rate", "tx_octets", "tx_errors", "tx_drop", "tx_packets",
    "tx_rate",
)  # fmt: skip


def _view(server: Any, seen: MachineObservation, used: MachineDiagnostics) -> dict[str, Any]:
    """As since 2.48. What nobody measures is null."""
    disks = [
        {
            "read_bytes": disk.read_bytes,
            "read_requests": disk.read_requests,
            "write_bytes": disk.write_bytes,
            "write_requests": disk.write_requests,
            "errors_count": disk.errors,
        }
        for disk in used.disks
    ]
    macs = [interface["mac"] for interface in server.interfaces]
    return {
        "state": _STATES.get(seen.state, "pending"),
        "driver": "libvirt",
        "hypervisor": used.hypervisor,
        "hypervisor_os": "linux",
        "uptime": used.uptime,
        "config_drive": bool(server.config_drive),
        "num_cpus": len(used.cpu_nanoseconds),
        "num_nics": len(macs),
        "num_disks": len(disks),
        "memory_details": {"maximum": used.memory, "used": used.memory_used},
        "cpu_details": [
            {"id": index, "time": time, "utilisation": None} for index, time in enumerate(used.cpu_nanoseconds)
        ],
        "nic_details": [{"mac_address": mac} | dict.fromkeys(_NIC) for mac in macs],
        "disk_details": disks,
    }


def _old_view(used: MachineDiagnostics) -> dict[str, Any]:
    """As before 2.48: names as libvirt's driver made them, memory in KiB."""
    found: dict[str, Any] = {f"cpu{index}_time": time for index, time in enumerate(used.cpu_nanoseconds)}
    for disk in used.disks:
        found |= {
            f"{disk.device}_read": disk.read_bytes,
            f"{disk.device}_read_req": disk.read_requests,
            f"{disk.device}_write": disk.write_bytes,
            f"{disk.device}_write_req": disk.write_requests,
            f"{disk.device}_errors": disk.errors,
        }
    return found | {"memory": used.memory * _KIB, "memory-rss": used.memory_used * _KIB}


ROUTES = (
    Route(
        "GET",
        "/v2.1/servers/{server_id}/diagnostics",
        diagnostics,
        "os_compute_api:os-server-diagnostics",
        target=finding.load,
        edge=True,
    ),
)

ACTIONS = (
    Action(
        name="changePassword",
        operation=change_password,
        rule="os_compute_api:os-admin-password",
        body=Password,
        edge=True,
    ),
    Action(
        name="trigger_crash_dump",
        operation=trigger_crash_dump,
        rule="os_compute_api:servers:trigger_crash_dump",
        edge=True,
        since=Microversion(2, 17),
    ),
)

POLICIES = (
    Rule("os_compute_api:os-admin-password", MEMBER, "Change the password inside a server."),
    Rule("os_compute_api:servers:trigger_crash_dump", MEMBER, "Have a server write a crash dump."),
    Rule("os_compute_api:os-server-diagnostics", ADMIN, "See what a server uses."),
)
