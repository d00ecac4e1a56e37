"""What clients send to make a trust."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stackyard.core.body import OpenBody
from stackyard.services.identity.roles.references import RoleReference

_LARGEST = 2**31 - 1
UserId = Annotated[str, msgspec.Meta(max_length=64)]


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
