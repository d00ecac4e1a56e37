"""Quotas of containers: what one takes, and the API that shows and changes the limits.

CPUs come in fractions, so they are counted in thousandths.
"""

from __future__ import annotations

from typing import Any

from stackyard.core import facts
from stackyard.core.body import Body
from stackyard.core.call import Call, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField, OverQuota
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.containers.containers.finding import project_of

RESOURCES = ("containers", "cpu", "memory", "disk")
CPU_UNIT = 1000
_CLASS = "containers.quota_class"


def amounts(*, containers: int = 0, cpu: float = 0, memory: int = 0, disk: int = 0) -> dict[str, int]:
    """What to reserve or release, by the names that quotas are counted under."""
    found = {
        "container.containers": containers,
        "container.cpu": round(cpu * CPU_UNIT),
        "container.memory": memory,
        "container.disk": disk,
    }
    return {name: amount for name, amount in found.items() if amount}


def reserve(tx: Transaction, runtime: Runtime, project_id: str, wanted: dict[str, int]) -> None:
    """Take it; a refusal speaks of CPUs, not of thousandths."""
    try:
        runtime.quotas.reserve(tx, project_id, wanted)
    except OverQuota as error:
        if error.resource != "cpu":
            raise
        raise OverQuota(
            "cpu",
            limit=error.limit // CPU_UNIT,
            in_use=-(-error.in_use // CPU_UNIT),
            asked=-(-error.asked // CPU_UNIT),
        ) from error


def release(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Give back what a container took; once, in the transaction that deletes its row."""
    taken = amounts(containers=1, cpu=row.cpu, memory=row.memory, disk=row.disk)
    runtime.quotas.release(tx, row.project_id, taken)


def _shown(name: str, counted: int) -> int | float:
    if name != "cpu" or counted == UNLIMITED:
        return counted
    return counted // CPU_UNIT if counted % CPU_UNIT == 0 else counted / CPU_UNIT


def _counted(name: str, shown: int) -> int:
    return shown * CPU_UNIT if name == "cpu" and shown != UNLIMITED else shown


class QuotaBody(Body):
    """Limits to set; -1 is none."""

    containers: int | str | None = None
    cpu: int | str | None = None
    memory: int | str | None = None
    disk: int | str | None = None


def _limits(body: QuotaBody) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in body.given():
        if value is None:
            continue
        text = str(value)
        if not text.removeprefix("-").isdigit() or not UNLIMITED <= int(text) < 2**31:
            raise InvalidField(name, f"'{value}' is not a whole number of -1 or more.", kind="SchemaValidationError")
        found[name] = int(text)
    return found


def _default(tx: Transaction, call: Call, name: str) -> int:
    own = facts.get(tx, f"{_CLASS}.{name}")
    return int(own) if own is not None else call.runtime.quotas.defaults[f"container.{name}"]


def _project(call: Call) -> str:
    return call.path.get("project_id") or project_of(call)


def target(tx: Transaction, call: Call) -> dict[str, Any]:
    """Whose quota it is."""
    del tx
    return {"project_id": _project(call)}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/quotas/{project}: the limits, with `usages` also what is in use."""
    project, quotas = _project(call), call.runtime.quotas
    limits = {name: _shown(name, quotas.limit(tx, project, f"container.{name}")) for name in RESOURCES}
    asked = call.query.get("usages")
    if asked is None or not parse_boolean("usages", asked or "true"):
        return limits
    return {
        name: {"limit": limit, "in_use": _shown(name, quotas.in_use(tx, project, f"container.{name}"))}
        for name, limit in limits.items()
    }


def defaults(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/quotas/{project}/defaults."""
    return {name: _shown(name, _default(tx, call, name)) for name in RESOURCES}


def put(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /v1/quotas/{project}: limits of its own."""
    for name, limit in _limits(call.body).items():
        call.runtime.quotas.set_limit(tx, _project(call), f"container.{name}", _counted(name, limit))
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /v1/quotas/{project}: back to the defaults."""
    for name in RESOURCES:
        call.runtime.quotas.clear_limit(tx, _project(call), f"container.{name}")


def show_class(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v1/quota_classes/{name}: the defaults of all projects; only the class `default` has an effect."""
    return defaults(tx, call)


def put_class(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /v1/quota_classes/default: change the defaults of all projects, for good."""
    if call.path["name"] != "default":
        raise InvalidField("quota class", "only the class 'default' has an effect.", kind="InvalidValue")
    changed = {name: _counted(name, limit) for name, limit in _limits(call.body).items()}
    for name, limit in changed.items():
        facts.put(tx, f"{_CLASS}.{name}", str(limit))
    tx.after_commit(lambda: call.runtime.quotas.defaults.update({f"container.{n}": v for n, v in changed.items()}))
    return {name: _shown(name, changed.get(name, _default(tx, call, name))) for name in RESOURCES}


def adopt_class(runtime: Runtime) -> None:
    """At start: put the stored defaults in force."""

    def read(tx: Transaction) -> dict[str, int]:
        stored = {name: facts.get(tx, f"{_CLASS}.{name}") for name in RESOURCES}
        return {f"container.{name}": int(value) for name, value in stored.items() if value is not None}

    runtime.quotas.defaults.update(runtime.database.read("containers.quota class", read))
