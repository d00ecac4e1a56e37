"""Bare metal nodes until 2.35: a bare metal service's, which this cloud has none of in its catalogue."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotImplementedHere
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import ADMIN

_BASE = "os_compute_api:os-baremetal-nodes"
_LAST = Microversion(2, 35)
_ALL = "/v2.1/os-baremetal-nodes"
_ONE = "/v2.1/os-baremetal-nodes/{node_id}"


def nodes(tx: Transaction, call: Call) -> Any:
    """GET of the nodes, or of one."""
    del tx, call
    raise NotImplementedHere("This cloud has no bare metal service in its catalogue.")


def change(tx: Transaction, call: Call) -> Any:
    """What Nova never did for a bare metal service."""
    del tx, call
    raise BadRequest("Command Not supported. Please use the bare metal service's own API to perform this action.")


ROUTES = (
    Route("GET", _ALL, nodes, f"{_BASE}:list", until=_LAST),
    Route("GET", _ONE, nodes, f"{_BASE}:show", until=_LAST),
    Route("POST", _ALL, change, "os_compute_api:any", writes=False, until=_LAST),
    Route("DELETE", _ONE, change, "os_compute_api:any", writes=False, until=_LAST),
    Route("POST", f"{_ONE}/action", change, "os_compute_api:any", writes=False, until=_LAST),
)

POLICIES = (
    Rule(f"{_BASE}:list", ADMIN, "List bare metal nodes."),
    Rule(f"{_BASE}:show", ADMIN, "See a bare metal node."),
)
