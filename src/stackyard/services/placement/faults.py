"""Faults as Placement words them, and the codes that its clients look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import ApiError, BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.microversion import Microversion

UNDEFINED = "placement.undefined_code"
CONCURRENT_UPDATE = "placement.concurrent_update"
DUPLICATE_NAME = "placement.duplicate_name"
INVENTORY_IN_USE = "placement.inventory.inuse"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
HAS_CHILDREN = "placement.resource_provider.cannot_delete_parent"
PROVIDER_NOT_FOUND = "placement.resource_provider.not_found"
DUPLICATE_KEY = "placement.query.duplicate_key"
BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"

MINIMUM, MAXIMUM = Microversion(1, 0), Microversion(1, 39)


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """A fault as Placement words it: a list of one, with a code since 1.23."""
    detail = error.message
    if isinstance(error, InvalidField):
        detail = f"JSON does not validate: {detail}"
    one = {"status": error.status, "title": error.title, "detail": detail, "request_id": request_id}
    if error.microversion is not None and error.microversion >= (1, 23):
        one["code"] = error.kind if error.kind.startswith("placement.") else UNDEFINED
    if error.status == 406 and error.microversion is None:
        one |= {"max_version": str(MAXIMUM), "min_version": str(MINIMUM)}
    return {"errors": [one]}


def conflict(message: str, code: str = UNDEFINED) -> Conflict:
    """A 409 with a code."""
    return Conflict(message, kind=code)


def bad_query(message: str, code: str = UNDEFINED) -> BadRequest:
    """A 400 for a query string."""
    return BadRequest(message, kind=code)


def no_provider(uuid: str) -> NotFound:
    """There is no such provider."""
    return NotFound(f"No resource provider with uuid {uuid[:255]} found")


def generation_conflict() -> Conflict:
    """The asker has seen another generation of the provider."""
    return conflict(
        "Resource provider's generation already changed. Please update the generation and try again.",
        CONCURRENT_UPDATE,
    )
