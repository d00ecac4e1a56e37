"""Access rules of users, which their application credentials refer to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.caller import AccessRule
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, InvalidField, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.identity.application_credentials.bodies import NewAccessRule
from stackyard.services.identity.application_credentials.refusals import refuse_delegated, refuse_restricted
from stackyard.services.identity.application_credentials.tables import RULES, access_rules, credential_rules
from stackyard.services.identity.listing import collection
from stackyard.services.identity.targets import the

LISTING = Listing(
    access_rules,
    {
        "service": Filter(access_rules.c.service),
        "method": Filter(access_rules.c.method),
        "path": Filter(access_rules.c.path),
    },
)
_OWN = access_rules.c.user_id == bindparam("owner")
_BY_ID = sa.select(access_rules).where(_OWN, access_rules.c.id == bindparam("id"))
_SAME = sa.select(access_rules).where(
    _OWN,
    access_rules.c.service == bindparam("service"),
    access_rules.c.method == bindparam("method"),
    access_rules.c.path == bindparam("path"),
)
_INSERT = sa.insert(access_rules)
_DELETE = sa.delete(access_rules).where(access_rules.c.id == bindparam("id"))
_ATTACH = sa.insert(credential_rules)
_USED = sa.select(credential_rules).where(credential_rules.c.rule_id == bindparam("id")).limit(1)


def plain_view(row: Row[Any]) -> dict[str, Any]:
    """A rule inside its credential."""
    return {"id": row.id, "service": row.service, "method": row.method, "path": row.path}


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {**plain_view(row), "links": {"self": call.url(f"/v3/users/{row.user_id}/access_rules/{row.id}")}}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """A user's access rules."""
    refuse_delegated(call)
    page = LISTING.page(tx, call.query, Scope("of user", _OWN, {"owner": the(call, "user").id}))
    return collection(call, "access_rules", [_view(call, row) for row in page.rows], page)


def _the_rule(tx: Transaction, call: Call) -> Row[Any]:
    refuse_delegated(call)
    row = tx.first(_BY_ID, {"owner": the(call, "user").id, "id": call.path["rule_id"]})
    if row is None:
        raise NotFound(f"Could not find Access Rule: {call.path['rule_id']}.")
    return row


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One access rule."""
    return {"access_rule": _view(call, _the_rule(tx, call))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete an access rule that no application credential uses."""
    row = _the_rule(tx, call)
    refuse_restricted(call)
    if tx.first(_USED, {"id": row.id}) is not None:
        raise Forbidden(f"The access rule {row.id} is in use by an application credential; delete that first.")
    tx.execute(_DELETE, {"id": row.id})


def attach(tx: Transaction, user_id: str, credential_id: str, asked: Sequence[NewAccessRule]) -> None:
    """Give a new credential its rules; one that the user has already is used again."""
    for rule_id in dict.fromkeys(_find_or_make(tx, user_id, rule) for rule in asked):
        tx.execute(_ATTACH, {"credential_id": credential_id, "rule_id": rule_id})


def check_within(tx: Transaction, call: Call, credential_id: str) -> None:
    """Raise Forbidden when a caller whose own calls are narrowed gives a credential more than he may call himself."""
    own = call.caller.access_rules
    if own is None:
        return
    given = [AccessRule(row.service, row.method, row.path) for row in tx.all(RULES, {"id": credential_id})]
    if not given or not set(given) <= set(own):
        raise Forbidden(
            "A token that access rules narrow makes application credentials with access rules of its own alone."
        )


def _find_or_make(tx: Transaction, user_id: str, rule: NewAccessRule) -> str:
    if rule.id is not UNSET:
        row = tx.first(_BY_ID, {"owner": user_id, "id": rule.id})
        if row is not None:
            return str(row.id)
        if rule.service is UNSET:
            raise NotFound(f"Could not find Access Rule: {rule.id}.")
    for field in ("service", "method", "path"):
        if getattr(rule, field) is UNSET:
            raise InvalidField(f"access_rules.{field}", "an access rule needs service, method and path.")
    values = {"service": rule.service, "method": rule.method, "path": rule.path}
    same = tx.first(_SAME, {"owner": user_id, **values})
    if same is not None:
        return str(same.id)
    rule_id = new_hex()
    tx.execute(_INSERT, {"id": rule_id, "user_id": user_id, **values})
    return rule_id
