"""A trust as what a token acts through, and how one is asked for when signing in."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, Unauthorized
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.delegation import Delegation
from stackyard.services.identity.trusts import chain, tables
from stackyard.services.identity.users import tables as user_tables


class Taken(NamedTuple):
    """A use of a trust: what the token acts through, and whose token it is."""

    delegation: Delegation
    user_id: str


def find(tx: Transaction, trust_id: str) -> Delegation | None:
    """The trust, unless it is gone or over, or a role is lent that the first trustor does not have any more.

    One whose uses are used up still bears the tokens that were got with them.
    """
    trust = tx.first(tables.BY_ID, {"id": trust_id})
    if trust is None:
        return None
    line = chain.of(tx, trust)
    if line[-1].redelegated_trust_id is not None or any(chain.is_over(tx, one) for one in line):
        return None
    lent = chain.roles_lent(tx, line)
    if lent is None:
        return None
    return Delegation(
        kind=payload.TRUST,
        id=trust.id,
        grantor_id=line[-1].trustor_user_id,
        project_id=trust.project_id,
        role_ids=frozenset(lent),
        user_ids=tuple(
            dict.fromkeys(user_id for one in line for user_id in (one.trustee_user_id, one.trustor_user_id))
        ),
        body={"OS-TRUST:trust": _body(trust)},
        expires_at=min((one.expires_at for one in line if one.expires_at is not None), default=None),
        caller={"trust_id": trust.id, "trustor_id": trust.trustor_user_id, "trustee_id": trust.trustee_user_id},
    )


def _body(trust: Row[Any]) -> dict[str, Any]:
    return {
        "id": trust.id,
        "trustor_user": {"id": trust.trustor_user_id},
        "trustee_user": {"id": trust.trustee_user_id},
        "impersonation": trust.impersonation,
    }


def take(tx: Transaction, reference: object, user_id: str) -> Taken:
    """Use a trust (`{"id": ...}`) as the user who signs in; a use that is counted is taken off in this transaction.

    Raises BadRequest for a reference that is none, Unauthorized for a trust that is gone, over or used up, Forbidden
    for one that is not for this user or worth nothing now.
    """
    trust_id = reference.get("id") if isinstance(reference, dict) else None
    if not isinstance(trust_id, str) or not trust_id:
        raise BadRequest("Expecting to find trust_id in trust.")
    trust = tx.first(tables.BY_ID, {"id": trust_id})
    if trust is None or chain.is_over(tx, trust):
        raise Unauthorized(f"Could not find trust: {trust_id}.")
    if trust.trustee_user_id != user_id:
        raise Forbidden("User is not a trustee.")
    if trust.project_id is None:
        raise Forbidden(f"The trust {trust_id} is not for a project, so that there is nothing to get a token for.")
    _check_people(tx, trust)
    found = find(tx, trust_id)
    if found is None or not found.role_ids:
        raise Forbidden("Trustee has no delegated roles.")
    if trust.remaining_uses is not None and tx.execute(tables.CONSUME, {"key": trust.id}).rowcount == 0:
        raise Unauthorized(f"Could not find trust: {trust_id}.")
    whose = trust.trustor_user_id if trust.impersonation else trust.trustee_user_id
    return Taken(found, whose)


def _check_people(tx: Transaction, trust: Row[Any]) -> None:
    for one in chain.of(tx, trust):
        for user_id in (one.trustor_user_id, one.trustee_user_id):
            user = tx.first(user_tables.BY_ID, {"id": user_id})
            if user is None or not user.enabled:
                raise Forbidden("One of the trust agents is disabled or deleted")
