"""/os-instance_usage_audit_log: which hosts have told of a past month's usage; none does, as in Nova by default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import hosts, lists
from stackyard.services.compute.rules import ADMIN

_BASE = "os_compute_api:os-instance-usage-audit-log"
_FORMATS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


def _period(before: datetime) -> tuple[datetime, datetime]:
    """The last month that was over before a moment."""
    end = datetime(before.year, before.month, 1, tzinfo=UTC)
    if end >= before:
        end = _month_before(end)
    return _month_before(end), end


def _month_before(first: datetime) -> datetime:
    if first.month > 1:
        return first.replace(month=first.month - 1)
    return first.replace(year=max(first.year - 1, 1), month=12)


def _log(tx: Transaction, before: datetime) -> dict[str, Any]:
    begin, end = _period(before)
    names = sorted({row.host for row in hosts.rows(tx)})
    done = f"0 of {len(names)}" if names else "ALL"
    return {
        "period_beginning": str(begin.replace(tzinfo=None)),
        "period_ending": str(end.replace(tzinfo=None)),
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(names),
        "hosts_not_run": names,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-instance_usage_audit_log."""
    lists.query_of(call, ("before",), strict=call.since(2, 102))
    return {"instance_usage_audit_logs": _log(tx, tx.now)}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-instance_usage_audit_log/{before}: the period that was over before then."""
    lists.query_of(call, (), strict=call.since(2, 102))
    text = call.path["before"]
    for pattern in _FORMATS:
        try:
            before = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        return {"instance_usage_audit_log": _log(tx, before)}
    raise BadRequest(f"Invalid timestamp for date {text[:255]}")


ROUTES = (
    Route("GET", "/v2.1/os-instance_usage_audit_log", list_, f"{_BASE}:list"),
    Route("GET", "/v2.1/os-instance_usage_audit_log/{before}", show, f"{_BASE}:show"),
)

POLICIES = (
    Rule(f"{_BASE}:list", ADMIN, "See how far hosts are with telling of the last period's usage."),
    Rule(f"{_BASE}:show", ADMIN, "See how far hosts were with telling of the usage of a period before a moment."),
)
