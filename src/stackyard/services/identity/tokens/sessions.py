"""From a token's text to all that it stands for now: its user, scope and roles, checked against the present data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import Unauthorized
from stackyard.services.identity import generation
from stackyard.services.identity.application_credentials import delegation as application_credential
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.ec2 import delegation as ec2_credential
from stackyard.services.identity.federation import standing
from stackyard.services.identity.oauth1 import delegation as access_token
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import payload, revocations, texts
from stackyard.services.identity.tokens.delegation import Delegation
from stackyard.services.identity.tokens.payload import Token
from stackyard.services.identity.trusts import delegation as trust
from stackyard.services.identity.users import tables as user_tables

REFUSED = "The request you have made requires authentication."

FIND_DELEGATION: Mapping[str, Callable[[Transaction, str], Delegation | None]] = {
    payload.APPLICATION_CREDENTIAL: application_credential.find,
    payload.TRUST: trust.find,
    payload.ACCESS_TOKEN: access_token.find,
    payload.EC2_CREDENTIAL: ec2_credential.find,
}
"""By kind, what finds a delegation by its id, and None for one that is gone, expired or used up."""


@dataclass(frozen=True, slots=True)
class Session:
    """A token and the rows it stands for. `project` or `domain` is set by scope; `project_domain` with a project.

    `federated_groups` are those that an identity provider's word puts the user into; `changes_at` is when the roles may
    change without anybody changing anything, as a membership that such a word gave ends.
    """

    token: Token
    user: Row[Any]
    user_domain: Row[Any]
    project: Row[Any] | None
    project_domain: Row[Any] | None
    domain: Row[Any] | None
    roles: tuple[tuple[str, str], ...]
    delegation: Delegation | None
    caller: Caller
    federated_groups: tuple[str, ...] = ()
    changes_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """When the token ends."""
        return self.token.expires_at


def find_session(tx: Transaction, text: str, window: timedelta = timedelta()) -> Session:
    """The session of a token's text, from memory where nothing has changed since.

    `window` is for how long an expired token is still good. Raises Unauthorized for a token that is forged, expired,
    revoked, or whose user, scope or roles are gone.
    """
    at = generation.current(tx)
    memory = generation.memory(tx)
    session: Session | None = memory.get(at, text)
    if session is not None and session.changes_at is not None and session.changes_at <= tx.now:
        session = None
    if session is None:
        token = texts.read(tx, at, text)
        if token is None:
            raise Unauthorized(REFUSED, kind="TokenNotFound")
        session = open_session(tx, token)
        memory.put(at, text, session)
    if session.token.expires_at + window <= tx.now:
        raise Unauthorized(REFUSED, kind="TokenExpired")
    return session


def open_session(tx: Transaction, token: Token) -> Session:
    """Look up what a token stands for; raises Unauthorized when some of it is gone, disabled or revoked."""
    user = enabled_user(tx, token.user_id)
    user_domain = enabled_project(tx, user.domain_id)
    project, project_domain, domain = _scope(tx, token)
    domain_ids = {row.id for row in (user_domain, project_domain, domain) if row is not None}
    if revocations.is_revoked(tx, token, project.id if project is not None else None, sorted(domain_ids)):
        raise Unauthorized(REFUSED, kind="TokenRevoked")
    delegation = _delegation(tx, token)
    federated_groups = standing.groups_of(tx, token.user_id, token.federation)
    actor_id = token.user_id if delegation is None else delegation.grantor_id
    roles = _roles(tx, token, domain if project is None else project, delegation, federated_groups)
    if token.scope != payload.UNSCOPED and not roles:
        raise Unauthorized(REFUSED, kind="NoRoles")
    return Session(
        token=token,
        user=user,
        user_domain=user_domain,
        project=project,
        project_domain=project_domain,
        domain=domain,
        roles=roles,
        delegation=delegation,
        caller=_caller(token, user, project, roles, delegation),
        federated_groups=federated_groups,
        changes_at=standing.next_change(tx, actor_id),
    )


def enabled_user(tx: Transaction, user_id: str) -> Row[Any]:
    """A user's row; raises Unauthorized unless the user exists and is enabled, and the user's domain too."""
    user = tx.first(user_tables.BY_ID, {"id": user_id})
    if user is None or not user.enabled:
        raise Unauthorized(REFUSED, kind="UserGone")
    enabled_project(tx, user.domain_id)
    return user


def enabled_project(tx: Transaction, project_id: str) -> Row[Any]:
    """A project's or domain's row; raises Unauthorized unless it exists and is enabled."""
    row = tx.first(project_tables.BY_ID, {"id": project_id})
    if row is None or not row.enabled:
        raise Unauthorized(REFUSED, kind="ScopeGone")
    return row


def _scope(tx: Transaction, token: Token) -> tuple[Row[Any] | None, Row[Any] | None, Row[Any] | None]:
    if token.scope == payload.PROJECT:
        project = enabled_project(tx, token.scope_id)
        return project, project if project.is_domain else enabled_project(tx, project.domain_id), None
    if token.scope == payload.DOMAIN:
        domain = enabled_project(tx, token.scope_id)
        if not domain.is_domain:
            raise Unauthorized(REFUSED, kind="ScopeGone")
        return None, None, domain
    return None, None, None


def _delegation(tx: Transaction, token: Token) -> Delegation | None:
    if not token.delegation:
        return None
    found = FIND_DELEGATION[token.delegation](tx, token.delegation_id)
    if found is None:
        raise Unauthorized(REFUSED, kind="DelegationGone")
    for user_id in (found.grantor_id, *found.user_ids):
        enabled_user(tx, user_id)
        if revocations.is_revoked_of_user(tx, user_id, token.issued_at):
            raise Unauthorized(REFUSED, kind="TokenRevoked")
    return found


def _roles(
    tx: Transaction, token: Token, target: Row[Any] | None, delegation: Delegation | None, groups: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    if token.scope == payload.UNSCOPED:
        return ()
    kind = {
        payload.PROJECT: assignment_tables.PROJECT,
        payload.DOMAIN: assignment_tables.DOMAIN,
        payload.SYSTEM: assignment_tables.SYSTEM,
    }[token.scope]
    actor_id = token.user_id if delegation is None else delegation.grantor_id
    rows = effective.roles_of_user(tx, actor_id, kind, target, groups)
    if delegation is not None:
        # Every role that is lent must still be the grantor's, else the delegation is worth nothing.
        if not delegation.role_ids <= {row.id for row in rows}:
            return ()
        kept = {row.id for row in effective.roles_in_tokens(tx, delegation.role_ids)}
        rows = [row for row in rows if row.id in kept]
    return tuple((row.id, row.name) for row in rows)


def _caller(
    token: Token,
    user: Row[Any],
    project: Row[Any] | None,
    roles: tuple[tuple[str, str], ...],
    delegation: Delegation | None,
) -> Caller:
    further = {} if delegation is None else dict(delegation.caller)
    return Caller(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain_id,
        project_id=None if project is None else project.id,
        project_name=None if project is None else project.name,
        project_domain_id=None if project is None else (project.domain_id or project.id),
        domain_id=token.scope_id if token.scope == payload.DOMAIN else None,
        system_scope="all" if token.scope == payload.SYSTEM else None,
        roles=frozenset(name.lower() for _, name in roles),
        audit_id=token.audit_ids[0],
        delegation=token.delegation or None,
        unrestricted=delegation is None or delegation.unrestricted,
        access_rules=None if delegation is None else delegation.access_rules,
        **further,
    )
