"""Placement: what hosts and other providers have, and who has taken how much of it; microversions 1.0 to 1.39."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError
from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import PUBLIC, Route, Service


def root(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /: the versions."""
    del tx, call
    version = {"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT"}
    return {"versions": [version | {"links": [{"rel": "self", "href": ""}]}]}


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """A fault as Placement words it: a list of one."""
    one = {"status": error.status, "title": error.title, "detail": error.message, "request_id": request_id}
    return {"errors": [one]}


SERVICE = Service(
    type="placement",
    name="placement",
    mount="/placement",
    classic_port=8778,
    routes=(Route("GET", "/", root, PUBLIC),),
    policies=(Rule("admin_api", "role:admin", "An administrator.", ANY_SCOPE),),
    fault=fault,
    microversions=MicroversionRange("placement", Microversion(1, 0), Microversion(1, 39)),
)
