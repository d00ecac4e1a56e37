"""What clients send to make an application credential."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.services.identity import moments
from stackyard.services.identity.attributes import Name255
from stackyard.services.identity.passwords import MAX_LENGTH


class RoleReference(OpenBody):
    """A role by id or name."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class NewAccessRule(Body):
    """A call that will be allowed; or, by id, a rule that the user has already."""

    id: str | UnsetType = UNSET
    service: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    method: Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] | UnsetType = UNSET
    path: Annotated[str, msgspec.Meta(max_length=225, pattern=r"^/")] | UnsetType = UNSET


class NewApplicationCredential(OpenBody):
    """An application credential to make; without a secret it gets one."""

    name: Name255
    description: str | None = None
    secret: Annotated[str, msgspec.Meta(max_length=MAX_LENGTH)] | None = None
    roles: list[RoleReference] = msgspec.field(default_factory=list)
    unrestricted: bool | None = None
    expires_at: str | None = None
    access_rules: list[NewAccessRule] | None = None

    def expiry(self, now: datetime) -> datetime | None:
        """When it ends; InvalidField for what is no time, or is past."""
        return moments.future("expires_at", self.expires_at, now)
