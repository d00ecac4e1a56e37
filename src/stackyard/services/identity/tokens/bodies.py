"""What a client sends to sign in."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import OpenBody
from stackyard.core.errors import InvalidField


class DomainReference(OpenBody):
    """A domain by id or name."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class UserReference(OpenBody):
    """A user by id, or by name and domain, with the password where that is the method."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET
    password: str | UnsetType | None = UNSET


class PasswordMethod(OpenBody):
    """Sign in with a password."""

    user: UserReference


class TokenMethod(OpenBody):
    """Sign in with a token that one has."""

    id: str


class CredentialMethod(OpenBody):
    """Sign in with an application credential, by id, or by name and user."""

    secret: str
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    user: UserReference | UnsetType = UNSET


class TotpUser(UserReference, kw_only=True):
    """A user with the passcode of now."""

    passcode: str


class TotpMethod(OpenBody):
    """Sign in with a time-based one-time passcode (RFC 6238)."""

    user: TotpUser


class FederatedMethod(OpenBody):
    """Sign in by an identity provider's protocol, or with the token of such a sign-in."""

    id: str | UnsetType = UNSET
    identity_provider: str | UnsetType = UNSET
    protocol: str | UnsetType = UNSET


class Identity(OpenBody):
    """Who it is, by which methods."""

    methods: list[str]
    password: PasswordMethod | UnsetType = UNSET
    token: TokenMethod | UnsetType = UNSET
    application_credential: CredentialMethod | UnsetType = UNSET
    totp: TotpMethod | UnsetType = UNSET
    oauth1: dict[str, object] | UnsetType = UNSET
    mapped: FederatedMethod | UnsetType = UNSET
    saml2: FederatedMethod | UnsetType = UNSET
    openid: FederatedMethod | UnsetType = UNSET


class ProjectReference(OpenBody):
    """A project by id, or by name and domain."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET


class SystemReference(OpenBody):
    """The system; `all` is the only part of it there is."""

    all: bool | UnsetType = UNSET


class Scope(OpenBody):
    """Where the token is to be good: exactly one of these."""

    project: ProjectReference | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET
    system: SystemReference | UnsetType = UNSET
    unscoped: dict[str, object] | UnsetType = UNSET
    trust: dict[str, object] | UnsetType = msgspec.field(name="OS-TRUST:trust", default=UNSET)


class Auth(OpenBody):
    """The whole of it."""

    identity: Identity
    scope: Scope | str | UnsetType = UNSET

    def check(self) -> None:
        """Raise InvalidField for what each field's type does not tell."""
        for name in ("password", "totp"):
            method: PasswordMethod | TotpMethod | UnsetType = getattr(self.identity, name)
            if method is not UNSET:
                _named(method.user, f"identity/{name}/user")
                if method.user.domain is not UNSET:
                    _named(method.user.domain, f"identity/{name}/user/domain")
        if not isinstance(self.scope, Scope):
            return
        given = [name for name in Scope.__struct_fields__ if getattr(self.scope, name) is not UNSET]
        if len(given) != 1:
            raise InvalidField("scope", "give exactly one of system, project, domain, OS-TRUST:trust or unscoped.")
        if self.scope.project is not UNSET:
            _named(self.scope.project, "scope/project")
            if self.scope.project.domain is not UNSET:
                _named(self.scope.project.domain, "scope/project/domain")
            elif self.scope.project.id is UNSET:
                raise InvalidField("scope/project", "domain must be present with a name.")
        if self.scope.domain is not UNSET:
            _named(self.scope.domain, "scope/domain")


def _named(reference: DomainReference | ProjectReference | UserReference, field: str) -> None:
    if reference.id is UNSET and reference.name is UNSET:
        raise InvalidField(field, "id or name must be present.")
