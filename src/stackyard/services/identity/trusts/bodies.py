"""What clients send to make a trust."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.core.errors import InvalidField

_LARGEST = 2**31 - 1
UserId = Annotated[str, msgspec.Meta(max_length=64)]


class RoleReference(Body):
    """A role by id, or by a name that is no other role's."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | UnsetType = UNSET


class NewTrust(OpenBody):
    """A trust to make. Whether it is handed on from another one the caller's token says, not the body."""

    trustor_user_id: UserId
    trustee_user_id: UserId
    impersonation: bool
    project_id: UserId | None = None
    remaining_uses: Annotated[int, msgspec.Meta(ge=1, le=_LARGEST)] | None = None
    expires_at: str | None = None
    allow_redelegation: bool | None = None
    redelegation_count: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)] | None = None
    redelegated_trust_id: str | None = None
    roles: list[RoleReference] = msgspec.field(default_factory=list)

    def check(self) -> None:
        """Raise InvalidField for a role that is named in two ways or none."""
        for role in self.roles:
            if (role.id is UNSET) == (role.name is UNSET):
                raise InvalidField("roles", "give each role by exactly one of id and name.")
