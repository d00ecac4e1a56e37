"""How the network service words a fault, and the faults that several of its nouns raise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import ApiError, BadRequest, Conflict, NotFound

_GENERIC = {
    "ApiError": "HTTPInternalServerError",
    "BadRequest": "HTTPBadRequest",
    "InvalidField": "HTTPBadRequest",
    "Forbidden": "HTTPForbidden",
    "NotFound": "HTTPNotFound",
    "MethodNotAllowed": "HTTPMethodNotAllowed",
    "NotImplementedHere": "HTTPNotImplemented",
    "Conflict": "HTTPConflict",
}


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """The JSON body of a fault: Neutron's type name, a message, and a detail that is empty as Neutron's is."""
    del request_id
    kind = _GENERIC.get(error.kind, error.kind)
    return {"NeutronError": {"type": kind, "message": error.message, "detail": ""}}


def not_found(what: str, resource_id: str) -> NotFound:
    """No such network, subnet, port, ...: `what` is its name in Neutron's fault types (Network, SecurityGroup)."""
    words = {"SecurityGroup": "Security group", "SecurityGroupRule": "Security group rule", "FloatingIP": "Floating IP",
             "AddressGroup": "Address group", "AddressScope": "Address scope", "SubnetPool": "Subnet pool"}  # fmt: skip
    ending = "does not exist" if what.startswith("SecurityGroup") else "could not be found"
    return NotFound(f"{words.get(what, what)} {resource_id} {ending}.", kind=f"{what}NotFound")


def invalid(message: str, kind: str = "InvalidInput") -> BadRequest:
    """An operation's input that breaks a rule of the service (Neutron's InvalidInput, or a kind of it)."""
    return BadRequest(f"Invalid input for operation: {message}", kind=kind)


def conflict(kind: str, message: str) -> Conflict:
    """A 409 of this fault type."""
    return Conflict(message, kind=kind)
