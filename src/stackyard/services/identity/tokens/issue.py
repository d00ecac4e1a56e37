"""From proven evidence to a token: for which user and scope, until when, and its text and body."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Unauthorized
from stackyard.services.identity import generation
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens import mfa, payload, receipts, texts
from stackyard.services.identity.tokens.bodies import ProjectReference, Scope
from stackyard.services.identity.tokens.evidence import Evidence, find_domain
from stackyard.services.identity.tokens.methods import METHODS
from stackyard.services.identity.tokens.payload import Token
from stackyard.services.identity.tokens.render import new_token_bytes
from stackyard.services.identity.tokens.sessions import REFUSED, Session, enabled_user, open_session
from stackyard.services.identity.trusts import delegation as trusts
from stackyard.services.identity.users import activity, password_rules

AskedScope = Scope | str | UnsetType


def writes(asked: AskedScope) -> bool:
    """Whether issuing needs a transaction that writes: of a trust, a use may have to be taken off."""
    return isinstance(asked, Scope) and asked.trust is not UNSET


def issue(tx: Transaction, call: Call, evidence: Evidence, asked: AskedScope = UNSET) -> Reply:
    """The answer with a new token, or with a receipt when the user's multi-factor rules want further methods.

    Raises Unauthorized when the evidence or the scope is not good.
    """
    user = _proven_user(tx, call, evidence)
    rules = mfa.rules_of(user.options, METHODS)
    if not mfa.is_enough(rules, evidence.methods):
        return receipts.issue(tx, call, user, evidence.methods, mfa.begun(rules, evidence.methods))
    text, session = _new_token(tx, call, user, evidence, asked)
    body = new_token_bytes(tx, session, call.root_url, with_catalog=call.query.get("nocatalog") is None)
    return Reply(body, status=201, headers={"X-Subject-Token": text, "Vary": "X-Auth-Token"})


def new_token(tx: Transaction, call: Call, evidence: Evidence, asked: AskedScope = UNSET) -> tuple[str, Session]:
    """A new token's text, and what it stands for, whatever the multi-factor rules say.

    Raises Unauthorized when the evidence or the scope is not good.
    """
    return _new_token(tx, call, _proven_user(tx, call, evidence), evidence, asked)


def _new_token(
    tx: Transaction, call: Call, user: Row[Any], evidence: Evidence, asked: AskedScope
) -> tuple[str, Session]:
    user_id = user.id
    if isinstance(asked, Scope) and asked.trust is not UNSET and evidence.delegation is None:
        evidence, user_id = _through_trust(tx, asked.trust, evidence, user)
    scope, scope_id = _scope(tx, asked, evidence, user)
    expires_at = (tx.now + timedelta(seconds=call.runtime.settings.token.lifetime)).replace(microsecond=0)
    if evidence.expires_at is not None:
        expires_at = min(expires_at, evidence.expires_at)
    delegation = evidence.delegation
    if delegation is not None and delegation.expires_at is not None:
        expires_at = min(expires_at, delegation.expires_at)
    chain = () if evidence.session is None else (evidence.session.token.chain_id,)
    token = Token(
        user_id=user_id,
        methods=tuple(evidence.methods),
        scope=scope,
        scope_id=scope_id,
        issued_at=tx.now,
        expires_at=expires_at,
        audit_ids=(payload.new_audit_id(), *chain),
        delegation="" if delegation is None else delegation.kind,
        delegation_id="" if delegation is None else delegation.id,
        # What an identity provider says of who signs in adds nothing to what somebody else lends.
        federation=evidence.federation if delegation is None else None,
    )
    if expires_at <= tx.now:
        raise Unauthorized(REFUSED)
    session = open_session(tx, token)
    at = generation.current(tx)
    text = texts.write(tx, at, call.runtime.settings.token.provider, token)
    generation.memory(tx).put(at, text, session)
    return text, session


def _proven_user(tx: Transaction, call: Call, evidence: Evidence) -> Row[Any]:
    """The user as of now; what changed while the secrets were verified is seen here."""
    if not evidence.believable or evidence.user is None:
        raise Unauthorized(REFUSED)
    user = enabled_user(tx, evidence.user.id)
    inactive = activity.is_inactive(tx, call.runtime.settings.password, user)
    if user.password_hash != evidence.user.password_hash or inactive:
        raise Unauthorized(REFUSED)
    if any(proof.method == "password" for proof in evidence.proofs) and password_rules.is_expired(user, tx.now):
        raise Unauthorized(f"The password is expired and needs to be changed for user: {user.id}.")
    return user


def _scope(tx: Transaction, asked: AskedScope, evidence: Evidence, user: Row[Any]) -> tuple[int, str]:
    if evidence.delegation is not None:
        return payload.PROJECT, str(evidence.delegation.project_id)
    if asked is UNSET and evidence.federation is not None:
        return payload.UNSCOPED, ""
    if asked is UNSET:
        return _default_scope(tx, user)
    if isinstance(asked, str) or asked.unscoped is not UNSET:
        if asked != "unscoped" and isinstance(asked, str):
            raise Unauthorized(REFUSED)
        return payload.UNSCOPED, ""
    if asked.system is not UNSET:
        return payload.SYSTEM, ""
    if asked.domain is not UNSET:
        domain = find_domain(tx, asked.domain)
        return payload.DOMAIN, _id_of(domain)
    if asked.project is not UNSET:
        return payload.PROJECT, _id_of(_find_project(tx, asked.project))
    raise Unauthorized(REFUSED)


def _through_trust(tx: Transaction, asked: object, evidence: Evidence, user: Row[Any]) -> tuple[Evidence, str]:
    """The evidence with the trust that the token is to act through, and whose token it will be."""
    taken = trusts.take(tx, asked, user.id)
    return replace(evidence, delegation=taken.delegation), taken.user_id


def _find_project(tx: Transaction, reference: ProjectReference) -> Row[Any] | None:
    if reference.name is UNSET:
        return tx.first(project_tables.BY_ID, {"id": reference.id})
    if reference.domain is UNSET:
        return None
    domain = find_domain(tx, reference.domain)
    if domain is None:
        return None
    return tx.first(project_tables.BY_NAME, {"domain_id": domain.id, "name": reference.name})


def _id_of(row: Row[Any] | None) -> str:
    if row is None:
        raise Unauthorized(REFUSED)
    return str(row.id)


def _default_scope(tx: Transaction, user: Row[Any]) -> tuple[int, str]:
    """The user's default project where that is still one he can work in, else none: never a refusal."""
    project = tx.first(project_tables.BY_ID, {"id": user.default_project_id}) if user.default_project_id else None
    if project is None or not project.enabled:
        return payload.UNSCOPED, ""
    domain = tx.first(project_tables.BY_ID, {"id": project.domain_id})
    if domain is None or not domain.enabled:
        return payload.UNSCOPED, ""
    if not effective.roles_of_user(tx, user.id, assignment_tables.PROJECT, project):
        return payload.UNSCOPED, ""
    return payload.PROJECT, str(project.id)
