"""How the image service words a fault.

Glance answers with a web page, or flat JSON, as the client's Accept header has it; python-glanceclient stumbles over
the flat JSON. Every client reads the message out of an object below one key, so that is what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import ApiError


class RangeNotSatisfiable(ApiError):
    """The part of the data that was asked for does not exist."""

    status = 416


class RequestTimeout(ApiError):
    """The client stopped sending."""

    status = 408


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """The JSON body of a fault."""
    del request_id
    return {
        "error": {"code": error.status, "title": error.title, "type": error.kind, "message": error.message},
    }
