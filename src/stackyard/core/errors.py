"""What an API call may answer besides success: one class a status, rendered by each service in its own format.

`kind` is the name that the real service gives the fault (Neutron's NetworkNotFound, Zun's QuotaExceeded) where its
clients look at it. A message names what failed, the limit, and the remedy; it never holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackyard.core.microversion import Microversion


class ApiError(Exception):
    """A fault that goes to the client with `status`."""

    status: int = 500

    def __init__(self, message: str, *, kind: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or type(self).__name__
        self.headers = dict(headers or {})
        self.microversion: Microversion | None = None
        """What the call spoke that failed, when that was settled; set before the fault is worded."""

    @property
    def title(self) -> str:
        """The status in words: Not Found."""
        return HTTPStatus(self.status).phrase


class BadRequest(ApiError):
    """The request cannot be understood or breaks a rule of its fields."""

    status = 400


class InvalidField(BadRequest):
    """One field of the body or query is wrong; the message begins with its name."""

    def __init__(self, field: str, reason: str, *, kind: str | None = None) -> None:
        super().__init__(f"Invalid input for {field}: {reason}", kind=kind)
        self.field = field


class Unauthorized(ApiError):
    """No caller, or one that cannot be believed."""

    status = 401


class Forbidden(ApiError):
    """The caller may know of it, but not do this."""

    status = 403


class NotFound(ApiError):
    """No such thing, or the caller may not know of it."""

    status = 404


class MethodNotAllowed(ApiError):
    """The address exists, this method does not."""

    status = 405


class NotAcceptable(ApiError):
    """No such microversion."""

    status = 406


class Conflict(ApiError):
    """The state of things does not allow it (now)."""

    status = 409


class Gone(ApiError):
    """It was here, and will not come back."""

    status = 410


class PreconditionFailed(ApiError):
    """An If-Match or similar condition does not hold."""

    status = 412


class TooLarge(ApiError):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaType(ApiError):
    """The body's type is not one that this call takes."""

    status = 415


class NotImplementedHere(ApiError):
    """The API has this call, this cloud does not; the docs list it."""

    status = 501


class ServiceUnavailable(ApiError):
    """Something that the answer needs does not answer now."""

    status = 503


class OverQuota(Forbidden):
    """A project has reached a limit."""

    def __init__(self, resource: str, *, limit: int, in_use: int, asked: int) -> None:
        super().__init__(
            f"Quota exceeded for {resource}: limit {limit}, in use {in_use}, asked for {asked} more. "
            "Delete some, or ask an administrator to raise the limit.",
            kind="OverQuota",
        )
        self.resource = resource
        self.limit = limit
        self.in_use = in_use
        self.asked = asked
