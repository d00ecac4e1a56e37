"""A token's body as Keystone writes it."""

from __future__ import annotations

from typing import Any

import msgspec

from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.catalog.view import catalog
from stackyard.services.identity.federation import service_providers, standing
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.sessions import Session

_encode = msgspec.json.Encoder().encode


def token_bytes(tx: Transaction, session: Session, root_url: str, *, with_catalog: bool) -> bytes:
    """The JSON of a token, from memory where nothing has changed since."""
    at = generation.current(tx)
    key = (session.token.audit_ids, session.token.expires_at, root_url, with_catalog, session.changes_at)
    return generation.memory(tx).remember(at, key, lambda: _encode(_body(tx, session, root_url, with_catalog)))


def new_token_bytes(tx: Transaction, session: Session, root_url: str, *, with_catalog: bool) -> bytes:
    """The JSON of a token just issued; not kept, since most tokens are never validated by their text."""
    return _encode(_body(tx, session, root_url, with_catalog))


def _body(tx: Transaction, session: Session, root_url: str, with_catalog: bool) -> dict[str, Any]:
    token, user = session.token, session.user
    expires = user.password_expires_at
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {
            "domain": _reference(session.user_domain),
            "id": user.id,
            "name": user.name,
            "password_expires_at": None if expires is None else iso_micro(expires)[:-1],
        },
        "audit_ids": list(token.audit_ids),
        "expires_at": iso_micro(token.expires_at),
        "issued_at": iso_micro(token.issued_at),
    }
    if session.project is not None:
        body["project"] = {"domain": _reference(session.project_domain), **_reference(session.project)}
        body["is_domain"] = session.project.is_domain
    elif session.domain is not None:
        body["domain"] = _reference(session.domain)
    elif token.scope == payload.SYSTEM:
        body["system"] = {"all": True}
    if token.scope != payload.UNSCOPED:
        body["roles"] = [{"id": role_id, "name": name} for role_id, name in session.roles]
        if with_catalog:
            project_id = None if session.project is None else session.project.id
            body["catalog"] = catalog(tx, root_url, project_id, user.id)
    if providers := service_providers.in_tokens(tx):
        body["service_providers"] = providers
    if token.federation is not None:
        body["user"]["OS-FEDERATION"] = standing.body(token.federation, session.federated_groups)
        del body["user"]["password_expires_at"]
    if session.delegation is not None:
        body |= session.delegation.body
    return {"token": body}


def _reference(row: Any) -> dict[str, str]:
    return {"id": row.id, "name": row.name}
