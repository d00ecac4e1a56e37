"""Who asks: what a token says of the user behind a call, as policy rules and operations see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class AccessRule(msgspec.Struct, frozen=True):
    """One call that an application credential with access rules may make; `path` may hold `*`, `**` and `{name}`."""

    service: str
    method: str
    path: str


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a scope: a project, a domain, the system, or none. `roles` are lower-case names.

    `delegation` is what the token acts through, if not by the user's own right: "application_credential", "trust",
    "access_token" or "ec2_credential"; `unrestricted` whether such a token may make further application credentials.
    """

    user_id: str
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system_scope: str | None = None
    roles: frozenset[str] = frozenset()
    audit_id: str = ""
    delegation: str | None = None
    unrestricted: bool = True
    application_credential_id: str | None = None
    trust_id: str | None = None
    trustor_id: str | None = None
    trustee_id: str | None = None
    access_rules: tuple[AccessRule, ...] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the caller is the cloud's administrator: admin on a project or the system, as the services see it."""
        return "admin" in self.roles

    def credentials(self) -> Mapping[str, Any]:
        """What policy rules compare with, in oslo.policy's names."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": self.system_scope,
            "system": self.system_scope,
            "roles": sorted(self.roles),
            "is_admin": self.is_admin,
            "is_admin_project": True,
            "trust_id": self.trust_id,
            "trustor_id": self.trustor_id,
            "trustee_id": self.trustee_id,
        }


ANONYMOUS = Caller(user_id="")
"""Who asks when a route is public and no token came."""
