"""Faults as compute and block storage word them: `{"itemNotFound": {"code": 404, "message": ...}}`, by the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import ApiError

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


def named(error: ApiError, other: str) -> Mapping[str, Any]:
    """The JSON body of a fault; `other` is the name of those that have none of their own."""
    return {_NAMES.get(error.status, other): {"code": error.status, "message": error.message}}
