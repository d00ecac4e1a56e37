"""Looking at a token and revoking it, and where a token's user could go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound, Unauthorized
from stackyard.services.identity.assignments import reach
from stackyard.services.identity.catalog.view import catalog
from stackyard.services.identity.projects import views as project_views
from stackyard.services.identity.tokens import revocations
from stackyard.services.identity.tokens.render import token_bytes
from stackyard.services.identity.tokens.sessions import Session, find_session

ACCESS_RULES_HEADER = "OpenStack-Identity-Access-Rules"
"""Who validates tokens for a service says with it which version of access rules he will enforce."""


def load_subject(tx: Transaction, call: Call) -> dict[str, Any]:
    """The token in X-Subject-Token; NotFound when it is not, or no longer, good.

    With `allow_expired` one that has ended lately is good too, for a service to finish what it began.
    """
    text = call.request.headers.get("x-subject-token")
    if not text:
        raise NotFound("No token in the request")
    window = timedelta()
    if call.query.boolean("allow_expired"):
        window = timedelta(seconds=call.runtime.settings.token.allow_expired_window)
    try:
        session = find_session(tx, text, window)
    except Unauthorized:
        raise NotFound("Failed to validate token") from None
    if session.caller.access_rules is not None and not _enforces_access_rules(call):
        raise NotFound("Failed to validate token")
    return {"session": session, "text": text, "target.token.user_id": session.user.id}


def _enforces_access_rules(call: Call) -> bool:
    """Whether the caller says so: a service that does not would let the token do more than it may."""
    try:
        return float(call.request.headers.get(ACCESS_RULES_HEADER, "0")) >= 1.0
    except ValueError:
        return False


def show(tx: Transaction, call: Call) -> Reply:
    """Validate a token."""
    session: Session = call.target["session"]
    body = token_bytes(tx, session, call.root_url, with_catalog=call.query.get("nocatalog") is None)
    return Reply(body, headers={"X-Subject-Token": call.target["text"], "Vary": "X-Auth-Token"})


def delete(tx: Transaction, call: Call) -> None:
    """Revoke a token and, unless `?cascade=false`, all that were got with it."""
    token = call.target["session"].token
    if call.query.boolean("cascade", default=True) and len(token.audit_ids) == 1:
        revocations.revoke(tx, chain_id=token.chain_id)
    else:
        revocations.revoke(tx, audit_id=token.audit_ids[0])


def show_catalog(tx: Transaction, call: Call) -> dict[str, Any]:
    """The catalogue for the caller's token."""
    caller = call.caller
    if caller.project_id is None:
        raise Forbidden("A project-scoped token is required to produce a service catalog.")
    return {
        "catalog": catalog(tx, call.root_url, caller.project_id, caller.user_id),
        "links": {"self": call.url("/v3/auth/catalog")},
    }


def _groups(tx: Transaction, call: Call) -> tuple[str, ...]:
    return find_session(tx, call.request.headers["x-auth-token"]).federated_groups


def list_projects(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that the caller could get a token for."""
    rows = [row for row in reach.projects_of_user(tx, call.caller.user_id, _groups(tx, call)) if row.enabled]
    return {
        "projects": project_views.views(tx, call, rows),
        "links": {"self": call.url("/v3/auth/projects"), "previous": None, "next": None},
    }


def list_domains(tx: Transaction, call: Call) -> dict[str, Any]:
    """The domains that the caller could get a token for."""
    rows = [row for row in reach.domains_of_user(tx, call.caller.user_id, _groups(tx, call)) if row.enabled]
    return {
        "domains": project_views.domain_views(tx, call, rows),
        "links": {"self": call.url("/v3/auth/domains"), "previous": None, "next": None},
    }


def show_system(tx: Transaction, call: Call) -> dict[str, Any]:
    """Whether the caller could get a token for the system."""
    reachable = reach.reaches_system(tx, call.caller.user_id, _groups(tx, call))
    return {"system": [{"all": True}] if reachable else [], "links": {"self": call.url("/v3/auth/system")}}
