"""What a token acts through when it does not act by its user's own right: it lends roles that somebody has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stackyard.core.caller import AccessRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """An application credential, a trust or an OAuth access token, as it is now.

    `kind` is one of payload.DELEGATIONS · `grantor_id` the user whose roles on `project_id` it lends · `role_ids` the
    roles lent, each of which must still be the grantor's, else the whole is worth nothing · `user_ids` the users who
    must exist and be enabled, beside the token's own · `unrestricted` whether its tokens may make further delegations
    · `access_rules` the calls that its tokens may make, None for all · `body` what a token shows of it · `caller` what
    further fields of the Caller it sets · `expires_at` when it ends, and every token with it.
    """

    kind: str
    id: str
    grantor_id: str
    project_id: str | None
    role_ids: frozenset[str]
    body: Mapping[str, Any]
    user_ids: tuple[str, ...] = ()
    unrestricted: bool = False
    access_rules: tuple[AccessRule, ...] | None = None
    caller: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
