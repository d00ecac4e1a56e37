"""Which host a server can move to, and why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.host.specs import HostCapacity
from stackyard.services import keys
from stackyard.services.compute import hosts
from stackyard.services.compute.servers import placing
from stackyard.services.compute.tables import block_devices
from stackyard.services.compute.volumes import ending

_VOLUMES = sa.select(block_devices.c.id).where(
    block_devices.c.server_id == bindparam("server"), block_devices.c.destination_type == "volume"
)


def choose(tx: Transaction, call: Call, server: Any, flavor: Mapping[str, Any]) -> str:
    """The host for a resize, claimed: any that the scheduler finds, the server's own only where that is allowed."""
    stays = call.runtime.settings.compute.allow_resize_to_same_host
    why = reason_to_stay(tx, call, server)
    if why is None:
        exclude = frozenset() if stays else frozenset({server.host})
        try:
            return placing.place(tx, call, server, zone=server.asked_zone, flavor=flavor, exclude=exclude)
        except BadRequest:
            if not stays:
                raise
    elif not stays:
        raise pre_check(why)
    placing.claim_on(tx, call, server, flavor=flavor, host=server.host)
    return str(server.host)


def reason_to_stay(tx: Transaction, call: Call, server: Any, *, live: bool = False) -> str | None:
    """Why a server cannot go to another host, whichever that is; None when it can."""
    row = hosts.find(tx, server.host)
    if row is None or row.peer_port is None:
        return f"host {server.host} cannot be reached by other hosts"
    if ending.require_host(tx, call.runtime, server) is not None:
        return f"instance {server.id} has volumes, which are kept on host {server.host}; detach them first"
    if live and tx.first(_VOLUMES, {"server": server.id}) is not None:
        return f"instance {server.id} has volumes, with which it cannot go while it runs; detach them first"
    return None


def unfit_for_live(tx: Transaction, server: Any) -> dict[str, str]:
    """The hosts that a running server cannot go to, and why."""
    rows = hosts.rows(tx)
    source = next((hosts.capacity(row) for row in rows if row.host == server.host), None)
    found = {row.host: _unfit(source, hosts.capacity(row), row) for row in rows}
    return {host: why for host, why in found.items() if why}


def _unfit(source: HostCapacity | None, there: HostCapacity, row: Any) -> str:
    if row.peer_port is None:
        return f"host {row.host} cannot be reached by other hosts"
    if source is None or (source.hypervisor, source.architecture) != (there.hypervisor, there.architecture):
        return f"host {row.host} has another hypervisor"
    if there.version < source.version:
        return f"host {row.host} has an older hypervisor"
    missing = set(source.cpu_features) - set(there.cpu_features)
    return f"host {row.host} lacks features of the processor: {', '.join(sorted(missing)[:8])}" if missing else ""


def pre_check(text: str) -> BadRequest:
    """Nova's fault for what is found before a move begins."""
    return BadRequest(f"Migration pre-check error: {text}.", kind="MigrationPreCheckError")


def require_up(tx: Transaction, host: str | None) -> None:
    """Raise Conflict when a host that has to do something is down."""
    row = None if host is None else hosts.find(tx, host)
    if row is None or not hosts.is_up(row, tx.now):
        raise Conflict(
            f"The compute service of host {host} is unavailable at this time: wait until it is up again.",
            kind="ServiceUnavailable",
        )


def can_live(call: Call, server: Any) -> bool:
    """Whether servers of this kind can move while they run."""
    driver = call.runtime[keys.MACHINES].get(server.kind)
    return server.kind == "machine" and (driver is None or "live_move" in driver.abilities)
