"""Handing a trust on: how often, with which roles, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.trusts import chain, tables
from stackyard.services.identity.trusts.bodies import NewTrust


def chain_above(tx: Transaction, call: Call) -> list[Row[Any]]:
    """The trust that the caller's token acts through and those above it; empty when it acts through none."""
    if call.caller.trust_id is None:
        return []
    trust = tx.first(tables.BY_ID, {"id": call.caller.trust_id})
    assert trust is not None  # noqa: S101 (without it the token had been refused)
    return chain.of(tx, trust)


def check_roles(tx: Transaction, asked: NewTrust, role_ids: Sequence[str], above: Sequence[Row[Any]]) -> None:
    """Raise NotFound for a role that the first trustor does not have, Forbidden for one that was not lent on."""
    if asked.project_id and tx.first(project_tables.BY_ID, {"id": asked.project_id}) is None:
        raise NotFound(f"Could not find project: {asked.project_id}.")
    trustor = above[-1].trustor_user_id if above else asked.trustor_user_id
    had = chain.roles_to_lend(tx, trustor, asked.project_id)
    for role_id in role_ids:
        if role_id not in had:
            raise NotFound(f"Could not find role: {role_id}.")
    for trust in above:
        if not set(role_ids) <= set(chain.role_ids(tx, trust)):
            raise Forbidden("Some of requested roles are not in redelegated trust")


def limits(
    call: Call, asked: NewTrust, above: Sequence[Row[Any]], expires_at: datetime | None
) -> tuple[int, datetime | None]:
    """How often the new trust may be handed on, and when it ends.

    Raises Forbidden for more than what is above it allows, BadRequest for uses counted where it may be handed on.
    """
    most = call.runtime.settings.trust.max_redelegation_count
    count = asked.redelegation_count
    if not asked.allow_redelegation or count == 0:
        count = 0
    elif asked.remaining_uses is not None:
        raise BadRequest("remaining_uses must not be set if redelegation is allowed")
    elif count is not None and count > most:
        raise Forbidden(f"Requested redelegation depth of {count} is greater than allowed {most}")
    if not above:
        return (most if count is None else count), expires_at
    left = above[0].redelegation_count - 1
    if count and count != left:
        raise Forbidden(
            'Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.'
        )
    for trust in above:
        expires_at = _within(trust, asked, most, expires_at)
    return (left if count is None else count), expires_at


def _within(trust: Row[Any], asked: NewTrust, most: int, expires_at: datetime | None) -> datetime | None:
    """When a trust below `trust` ends; raises Forbidden for one that is more than `trust`."""
    if not 0 < trust.redelegation_count <= most:
        raise Forbidden(
            f"Remaining redelegation depth of {trust.redelegation_count} out of allowed range of [0..{most}]"
        )
    if asked.remaining_uses is not None:
        raise Forbidden(
            f'Field "remaining_uses" is set to {asked.remaining_uses} while it must not be set in order to redelegate '
            "a trust"
        )
    if asked.project_id != trust.project_id:
        raise Forbidden("A trust is handed on for the project that it is for, and for no other")
    if asked.impersonation and not trust.impersonation:
        raise Forbidden(
            "Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust "
            f"id: {trust.id}"
        )
    if trust.expires_at is None:
        return expires_at
    if expires_at is not None and expires_at > trust.expires_at:
        raise Forbidden("Requested expiration time is more than redelegated trust can provide")
    found: datetime = expires_at or trust.expires_at
    return found
