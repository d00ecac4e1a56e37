"""What a driver may raise; everything else is a bug."""

from __future__ import annotations


class HostError(Exception):
    """The host could not do what was asked now; trying again may help. The text names what failed and the remedy."""


class SpecError(HostError):
    """The host can never do this as asked (no such image, no such command, unsupported feature): do not try again."""


class NotFoundError(HostError):
    """The container, image or other thing named does not exist on this host."""


class ConflictError(HostError):
    """The thing exists but is in a state that does not allow the request."""


class EngineUnavailableError(HostError):
    """The container engine does not answer; it is retried until it does."""
