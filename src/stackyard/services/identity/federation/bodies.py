"""What clients send to make and change identity providers, protocols and service providers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.identity.attributes import Identifier

MAX_ID = 64
_Description = Annotated[str, msgspec.Meta(max_length=65535)]
_Url = Annotated[str, msgspec.Meta(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
_MappingId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Attribute = Annotated[str, msgspec.Meta(max_length=64)]
_Minutes = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
# Keystone's schema says 64, its column and the issuers of real providers 255.
_RemoteId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_RemoteIds = Annotated[list[_RemoteId], msgspec.Meta(max_length=1000)]
_Prefix = Annotated[str, msgspec.Meta(max_length=256)]


class ProviderChange(Body):
    """What to change of an identity provider."""

    enabled: bool | UnsetType = UNSET
    description: _Description | UnsetType | None = UNSET
    authorization_ttl: _Minutes | UnsetType | None = UNSET
    remote_ids: _RemoteIds | UnsetType | None = UNSET

    def check(self) -> None:
        """Raise InvalidField for a remote id given twice."""
        ids = self.remote_ids or []
        if len(set(ids)) != len(ids):
            raise InvalidField("remote_ids", f"{ids} has non-unique elements")


class NewProvider(ProviderChange):
    """An identity provider to make; a domain is made for it when none is named."""

    domain_id: Identifier | UnsetType | None = UNSET


class NewProtocol(Body):
    """A protocol of an identity provider to make."""

    mapping_id: _MappingId
    remote_id_attribute: _Attribute | None = None


class ProtocolChange(Body):
    """What to change of a protocol."""

    mapping_id: _MappingId
    remote_id_attribute: _Attribute | UnsetType = UNSET


class NewServiceProvider(Body):
    """A service provider to make."""

    auth_url: _Url
    sp_url: _Url
    enabled: bool = False
    description: _Description | None = None
    relay_state_prefix: _Prefix | None = None


class ServiceProviderChange(Body):
    """What to change of a service provider."""

    auth_url: _Url | UnsetType = UNSET
    sp_url: _Url | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: _Description | UnsetType | None = UNSET
    relay_state_prefix: _Prefix | UnsetType | None = UNSET


def check_something(asked: Body, name: str) -> None:
    """Raise BadRequest for an update that changes nothing."""
    if not dict(asked.given()):
        raise BadRequest(f"Invalid input for {name}: at least one attribute must be given.")


def check_id(value: str, kind: str) -> str:
    """The id that the path names for a new thing; InvalidField when it is too long."""
    if len(value) > MAX_ID:
        raise InvalidField(f"{kind} id", f"expected at most {MAX_ID} characters.")
    return value
