"""Faults as Nova words them: `{"itemNotFound": {"code": 404, "message": ...}}`, by the HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import ApiError, NotFound

_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "notAcceptable",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """The JSON body of a fault."""
    del request_id
    return {_NAMES.get(error.status, "computeFault"): {"code": error.status, "message": error.message}}


def not_found(what: str, resource_id: str) -> NotFound:
    """No such server, flavor, key pair, ...: `what` is its name in Nova's messages (Instance, Flavor, Keypair)."""
    return NotFound(f"{what} {resource_id} could not be found.", kind=f"{what}NotFound")
