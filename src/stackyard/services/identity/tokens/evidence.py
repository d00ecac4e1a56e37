"""Who a client says it is, and what there is to prove it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core import config
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound, Unauthorized
from stackyard.services.identity.application_credentials import tables as credential_tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.bodies import Auth, CredentialMethod, DomainReference, Scope, UserReference
from stackyard.services.identity.tokens.sessions import REFUSED, Session, find_session
from stackyard.services.identity.users import lockout
from stackyard.services.identity.users import tables as user_tables


@dataclass(slots=True)
class Evidence:
    """What the methods of one sign-in say. `secrets` are pairs of a stored hash (None: no such user) and what was sent.

    `believable` is False when something does not fit already; the secrets are verified all the same, so that the
    time of the answer does not tell whether a user exists. `counted` is the user whose wrong passwords are counted.
    """

    methods: list[str] = field(default_factory=list)
    user: Row[Any] | None = None
    secrets: list[tuple[str | None, str]] = field(default_factory=list)
    believable: bool = True
    credential: Row[Any] | None = None
    session: Session | None = None
    expires_at: datetime | None = None
    counted: str | None = None
    has_failures: bool = False

    def claim(self, user: Row[Any] | None) -> None:
        """Another method says that it is `user`; all methods must say the same."""
        if user is None or (self.user is not None and self.user.id != user.id):
            self.believable = False
        else:
            self.user = user


def gather(tx: Transaction, auth: Auth, rules: config.Password) -> Evidence:
    """Look up what the sign-in refers to.

    Raises BadRequest for a method without its data, Unauthorized for an unknown method, NotFound for a bad token (as
    Keystone does), Forbidden for one that may not be exchanged.
    """
    evidence = Evidence()
    for method in dict.fromkeys(auth.identity.methods):
        if method not in payload.METHODS:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        if getattr(auth.identity, method) is UNSET:
            raise BadRequest(
                f"Expecting to find {method} in identity. The server could not comply with the request since it is "
                "either malformed or otherwise incorrect. The client is assumed to be in error."
            )
        evidence.methods.append(method)
        _GATHER[method](tx, auth, evidence)
    if not evidence.methods:
        raise Unauthorized(REFUSED)
    _look_at_lock(tx, evidence, rules)
    return evidence


def _look_at_lock(tx: Transaction, evidence: Evidence, rules: config.Password) -> None:
    user = evidence.user
    if user is None or "password" not in evidence.methods or not evidence.secrets:
        return
    if rules.lockout_failure_attempts == 0 or user.options.get("ignore_lockout_failure_attempts"):
        return
    evidence.counted = user.id
    evidence.has_failures = lockout.has_failures(tx, rules, user.id)
    if lockout.is_locked(tx, rules, user.id):
        evidence.believable = False


def _password(tx: Transaction, auth: Auth, evidence: Evidence) -> None:
    assert auth.identity.password is not UNSET  # noqa: S101 (gather has looked)
    reference = auth.identity.password.user
    if not isinstance(reference.password, str):
        raise BadRequest("Expecting to find password in user. The password method needs one.")
    user = find_user(tx, reference)
    evidence.secrets.append((None if user is None else user.password_hash, reference.password))
    evidence.claim(user)


def _token(tx: Transaction, auth: Auth, evidence: Evidence) -> None:
    assert auth.identity.token is not UNSET  # noqa: S101 (gather has looked)
    try:
        session = find_session(tx, auth.identity.token.id)
    except Unauthorized:
        raise NotFound("Failed to validate token") from None
    token = session.token
    elsewhere = isinstance(auth.scope, Scope) and (auth.scope.project is not UNSET or auth.scope.domain is not UNSET)
    if token.scope == payload.SYSTEM and elsewhere:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using a system-scoped token to create a "
            "project-scoped or domain-scoped token is not allowed."
        )
    if token.application_credential_id is not None:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using a delegated token to create another token "
            "is not allowed."
        )
    evidence.session = session
    evidence.methods += [method for method in token.methods if method not in evidence.methods]
    _limit(evidence, token.expires_at)
    evidence.claim(session.user)


def _application_credential(tx: Transaction, auth: Auth, evidence: Evidence) -> None:
    assert auth.identity.application_credential is not UNSET  # noqa: S101 (gather has looked)
    if auth.scope is not UNSET:
        raise Unauthorized(
            "Error authenticating with application credential: Application credentials cannot request a scope."
        )
    reference = auth.identity.application_credential
    row = _find_credential(tx, reference)
    evidence.secrets.append((None if row is None else row.secret_hash, reference.secret))
    evidence.credential = row
    evidence.claim(None if row is None else tx.first(user_tables.BY_ID, {"id": row.user_id}))
    if row is not None and row.expires_at is not None:
        _limit(evidence, row.expires_at)


_GATHER = {"password": _password, "token": _token, "application_credential": _application_credential}


def _limit(evidence: Evidence, moment: datetime) -> None:
    evidence.expires_at = moment if evidence.expires_at is None else min(moment, evidence.expires_at)


def _find_credential(tx: Transaction, reference: CredentialMethod) -> Row[Any] | None:
    if reference.id is not UNSET:
        return tx.first(credential_tables.BY_ID, {"id": reference.id})
    if reference.name is UNSET:
        raise BadRequest("Expecting to find name or ID in application credential.")
    if reference.user is UNSET:
        raise BadRequest("Expecting to find user in application credential, which is not given by ID.")
    user = find_user(tx, reference.user)
    if user is None:
        return None
    return tx.first(credential_tables.BY_NAME, {"user_id": user.id, "name": reference.name})


def find_user(tx: Transaction, reference: UserReference) -> Row[Any] | None:
    """The user that is meant, if there is one; BadRequest for a name without a domain."""
    if reference.id is not UNSET:
        return tx.first(user_tables.BY_ID, {"id": reference.id})
    if reference.domain is UNSET:
        raise BadRequest("Expecting to find domain in user, which is not given by ID.")
    domain = find_domain(tx, reference.domain)
    if domain is None or reference.name is UNSET:
        return None
    return tx.first(user_tables.BY_NAME, {"domain_id": domain.id, "name": reference.name})


def find_domain(tx: Transaction, reference: DomainReference) -> Row[Any] | None:
    """The domain that is meant, if there is one."""
    if reference.name is not UNSET:
        return tx.first(project_tables.BY_NAME, {"domain_id": project_tables.NO_DOMAIN, "name": reference.name})
    row = tx.first(project_tables.BY_ID, {"id": reference.id})
    return row if row is not None and row.is_domain else None
