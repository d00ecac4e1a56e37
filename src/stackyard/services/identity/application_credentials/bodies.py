"""What clients send to make an application credential."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.core.errors import InvalidField
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
        if not self.expires_at:
            return None
        try:
            moment = datetime.fromisoformat(self.expires_at)
        except ValueError:
            raise InvalidField("expires_at", "give a time such as 2026-01-31T12:00:00Z.") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment <= now:
            raise InvalidField("expires_at", "The 'expires_at' must not be before now.")
        return moment
