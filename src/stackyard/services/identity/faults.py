"""How Keystone words a fault."""

from __future__ import annotations

from typing import Any

from stackyard.core.errors import ApiError, Unauthorized


def fault(error: ApiError, request_id: str) -> dict[str, Any]:
    """The body of an error answer."""
    del request_id
    return {"error": {"code": error.status, "message": error.message, "title": error.title}}


def unauthenticated(reason: str = "The request you have made requires authentication.") -> Unauthorized:
    """The answer to whoever cannot be believed; without a reason where the reason would help an attacker."""
    return Unauthorized(reason)
