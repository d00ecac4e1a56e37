"""Services of volumes (os-services): list, enable and disable, freeze and thaw."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound, NotImplementedHere
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services import keys
from stackyard.services.volume import hosts, rows
from stackyard.services.volume.fields import Host, Text
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import volume_services

KIND = "volume_service"

Named = Annotated[str, Meta(min_length=1, max_length=255)]
Binary = Literal["cinder-api", "cinder-volume", "cinder-scheduler", "cinder-backup", "", "*"]


class NamedService(Body, kw_only=True):
    """PUT /os-services/enable and disable."""

    host: Host | None = None
    binary: Named | UnsetType = UNSET
    service: Named | UnsetType = UNSET
    cluster: Text | None = None


class DisabledService(NamedService, kw_only=True):
    """PUT /os-services/disable-log-reason."""

    disabled_reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")] | UnsetType = UNSET


class Place(Body, kw_only=True):
    """PUT /os-services/freeze and thaw."""

    host: Host | None = None
    cluster: Text | None = None


class Failover(Place, kw_only=True):
    """PUT /os-services/failover_host."""

    backend_id: Text | None = None


class Logs(Body, kw_only=True):
    """PUT /os-services/get-log."""

    binary: Binary | None = None
    server: Text | None = None
    prefix: Text | None = None


class ChangedLogs(Logs, kw_only=True):
    """PUT /os-services/set-log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "debug", "info", "warning", "error"] | None = None


def state(row: Any, now: datetime) -> str:
    """`up` or `down`."""
    return "up" if hosts.is_up(row, now) else "down"


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-services."""
    host, binary = call.query.get("host"), call.query.get("binary")
    found = []
    for row in hosts.rows(tx):
        if (host and host not in (row.host, hosts.shown(row))) or (binary and binary != row.binary):
            continue
        found.append(_view(call, row, tx.now))
    return {"services": found}


def _view(call: Call, row: Any, now: datetime) -> dict[str, Any]:
    found = {
        "binary": row.binary,
        "host": hosts.shown(row),
        "zone": row.zone,
        "status": "disabled" if row.disabled else "enabled",
        "state": state(row, now),
        "updated_at": iso_naive(row.updated_at),
        "disabled_reason": row.disabled_reason,
    }
    if call.since(3, 7):
        found["cluster"] = None
    if row.binary == hosts.VOLUME:
        found |= {
            "replication_status": row.replication_status or "disabled",
            "active_backend_id": None,
            "frozen": row.frozen,
        }
        if call.since(3, 49):
            found["backend_state"] = state(row, now)
    return found


def _find(tx: Transaction, shown: str, binary: str) -> Any:
    host, backend = hosts.split(shown)
    row = hosts.find(tx, host, backend, binary)
    if row is None:
        raise NotFound(f"Service {binary} could not be found on host {shown}.", kind="ServiceNotFound")
    return row


def _named(tx: Transaction, body: NamedService) -> tuple[Any, dict[str, Any]]:
    host = _require_host(body.host)
    names = [name for name in (body.binary, body.service) if name is not UNSET]
    if not names:
        raise BadRequest("Invalid input for body: one of binary and service must be given.")
    row = _find(tx, host, str(names[0]))
    service = "" if body.service is UNSET else body.service
    return row, {"host": host, "service": service, "binary": "" if body.binary is UNSET else body.binary}


def _require_host(host: str | None) -> str:
    if not host:
        raise BadRequest("Host field is missing.", kind="InvalidInput")
    return host


def enable(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-services/enable."""
    row, named = _named(tx, call.body)
    _set(tx, row, disabled=False, disabled_reason=None)
    return named | {"status": "enabled", "disabled": False, "disabled_reason": None}


def disable(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-services/disable."""
    row, named = _named(tx, call.body)
    _set(tx, row, disabled=True)
    return named | {"status": "disabled", "disabled": True}


def disable_log_reason(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-services/disable-log-reason."""
    row, named = _named(tx, call.body)
    given = call.body.disabled_reason
    reason = None if given is UNSET else given.strip()
    _set(tx, row, disabled=True, **({} if reason is None else {"disabled_reason": reason}))
    return named | {"status": "disabled", "disabled": True, "disabled_reason": reason}


def _set(tx: Transaction, row: Any, **values: Any) -> None:
    rows.write(tx, volume_services, row.id, **values)  # updated_at stays: it says when the service has beaten last
    text = ", ".join(f"{name}: {value}" for name, value in values.items())
    timeline.record(tx, KIND, str(row.id), "changed", text)


def _frozen(*, frozen: bool) -> Any:
    def change(tx: Transaction, call: Call) -> Reply:
        row = _backend(tx, call, clusters=call.since(3, 26))
        if row.frozen == frozen:
            raise BadRequest(f"Host {call.body.host} is {'already' if frozen else 'not'} frozen.", kind="InvalidInput")
        _set(tx, row, frozen=frozen, disabled=frozen, disabled_reason="frozen" if frozen else None)
        return Reply(status=200)

    change.__doc__ = f"PUT /os-services/{'freeze' if frozen else 'thaw'}: a back end takes no new volumes, or again."
    return change


def _backend(tx: Transaction, call: Call, *, clusters: bool) -> Any:
    body: Place = call.body
    if clusters and bool(body.cluster) == bool(body.host):
        raise BadRequest("One and only one of cluster and host must be set.", kind="InvalidInput")
    if clusters and body.cluster:
        raise _no_clusters(body.cluster)
    try:
        return _find(tx, _require_host(body.host), hosts.VOLUME)
    except NotFound as error:
        raise BadRequest(error.message, kind="InvalidInput") from None


def _no_clusters(name: str) -> BadRequest:
    return BadRequest(f"There is no cluster {name}: back ends are of single hosts here.", kind="InvalidInput")


def failover(tx: Transaction, call: Call) -> None:
    """PUT /os-services/failover_host and failover: no back end has a replica to fail over to."""
    _backend(tx, call, clusters=call.since(3, 26))
    raise NotImplementedHere(
        f"The back end {call.body.host} has no replication target to fail over to.", kind="NotSupported"
    )


def _log_rows(tx: Transaction, call: Call, body: Logs) -> list[Any]:
    wanted = body.binary if body.binary not in (None, "", "*") else None
    return [
        row
        for row in hosts.rows(tx)
        if (wanted is None or row.binary == wanted)
        and (not body.server or body.server in (row.host, hosts.shown(row)))
        and row.host == call.runtime[keys.HOST_NAME]
    ]


def get_log(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-services/get-log (3.32): the levels of this host's loggers, which are those of the whole program."""
    prefix = call.body.prefix or "stackyard"
    found = {
        name: logging.getLevelName(logging.getLogger(name).getEffectiveLevel())
        for name in sorted(logging.root.manager.loggerDict)
        if name.startswith(prefix)
    }
    views = [
        {"host": hosts.shown(row), "binary": row.binary, "levels": found} for row in _log_rows(tx, call, call.body)
    ]
    return {"log_levels": views}


def set_log(tx: Transaction, call: Call) -> None:
    """PUT /os-services/set-log (3.32): this host's loggers that begin with `prefix` speak from `level` on."""
    body: ChangedLogs = call.body
    if body.level is None:
        raise BadRequest("Invalid input for level: it is missing.")
    if not _log_rows(tx, call, body):
        return
    tx.after_commit(lambda: logging.getLogger(body.prefix or "stackyard").setLevel(str(body.level).upper()))


_BASE = "/v3/os-services"
_RULE = "volume_extension:services"
_LOGS = Microversion(3, 32)

ROUTES = (
    Route("GET", _BASE, list_, f"{_RULE}:index", query=("host", "binary")),
    Route("PUT", f"{_BASE}/enable", enable, f"{_RULE}:update", body=NamedService),
    Route("PUT", f"{_BASE}/disable", disable, f"{_RULE}:update", body=NamedService),
    Route("PUT", f"{_BASE}/disable-log-reason", disable_log_reason, f"{_RULE}:update", body=DisabledService),
    Route("PUT", f"{_BASE}/freeze", _frozen(frozen=True), "volume:freeze_host", body=Place),
    Route("PUT", f"{_BASE}/thaw", _frozen(frozen=False), "volume:thaw_host", body=Place),
    Route("PUT", f"{_BASE}/failover_host", failover, "volume:failover_host", body=Failover, status=202),
    Route(
        "PUT", f"{_BASE}/failover", failover, "volume:failover_host", body=Failover, status=202,
        since=Microversion(3, 26),
    ),
    Route("PUT", f"{_BASE}/get-log", get_log, f"{_RULE}:update", body=Logs, since=_LOGS),
    Route("PUT", f"{_BASE}/set-log", set_log, f"{_RULE}:update", body=ChangedLogs, since=_LOGS, status=202),
)  # fmt: skip

POLICIES = (
    Rule(f"{_RULE}:index", ADMIN, "List the services of volumes."),
    Rule(f"{_RULE}:update", ADMIN, "Enable and disable services of volumes."),
    Rule("volume:freeze_host", ADMIN, "Have a back end take no new volumes."),
    Rule("volume:thaw_host", ADMIN, "Have a frozen back end take volumes again."),
    Rule("volume:failover_host", ADMIN, "Have a back end fail over to its replica."),
)
