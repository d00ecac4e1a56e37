"""Faults as Nova words them: `{"itemNotFound": {"code": 404, "message": ...}}`, by the HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core import faults
from stackyard.core.errors import ApiError, NotFound


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """The JSON body of a fault."""
    del request_id
    return faults.named(error, "computeFault")


def not_found(what: str, resource_id: str) -> NotFound:
    """No such server, flavor, key pair, ...: `what` is its name in Nova's messages (Instance, Flavor, Keypair)."""
    return NotFound(f"{what} {resource_id} could not be found.", kind=f"{what}NotFound")
