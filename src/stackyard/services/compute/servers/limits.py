"""Quotas of servers: how many of those asked for a project may have, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.compute.quotas.limits import own_of_user


def of_one(flavor: Mapping[str, Any]) -> dict[str, int]:
    """What one server of a flavor takes of its project's quota."""
    return {"compute.instances": 1, "compute.cores": flavor["vcpus"], "compute.ram": flavor["ram"]}


def within(tx: Transaction, call: Call, flavor: Mapping[str, Any], least: int, most: int) -> int:
    """How many servers, of `least` to `most`, the project's quota allows; raises Forbidden for fewer than `least`."""
    project_id, quotas = str(call.caller.project_id), call.runtime.quotas
    of_user = own_of_user(tx, call.runtime, project_id, call.caller.user_id)
    allowed, lacking = most, []
    for resource, amount in of_one(flavor).items():
        name = resource.partition(".")[2]
        bounds = [of_user[name]] if name in of_user else []
        limit = quotas.limit(tx, project_id, resource)
        if limit != UNLIMITED:
            bounds.append((limit, quotas.in_use(tx, project_id, resource)))
        if not bounds or not amount:
            continue
        limit, used = min(bounds, key=lambda bound: bound[0] - bound[1])
        fit = max(limit - used, 0) // amount
        if fit < least:
            lacking.append((name, amount * least, used, limit))
        allowed = min(allowed, fit)
    if lacking:
        names, asked, used_, limits_ = (
            ", ".join(str(value) for value in values) for values in zip(*lacking, strict=True)
        )
        raise Forbidden(
            f"Quota exceeded for {names}: Requested {asked}, but already used {used_} of {limits_} {names}",
            kind="TooManyInstances",
        )
    return allowed


def reserve(tx: Transaction, call: Call, flavor: Mapping[str, Any], count: int) -> None:
    """Take what so many servers of a flavor need."""
    amounts = {resource: amount * count for resource, amount in of_one(flavor).items()}
    call.runtime.quotas.reserve(tx, str(call.caller.project_id), amounts)


def release(tx: Transaction, runtime: Runtime, project_id: str, flavor: Mapping[str, Any]) -> None:
    """Give back what one server of a flavor took."""
    runtime.quotas.release(tx, project_id, of_one(flavor))
