"""Inference rules: a role that implies others."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound
from stackyard.services.identity.roles import tables
from stackyard.services.identity.roles.tables import implied
from stackyard.services.identity.targets import the

_ONE = sa.select(implied).where(tables.ONE_IMPLICATION)
_DELETE = sa.delete(implied).where(tables.ONE_IMPLICATION)


def list_all(tx: Transaction, call: Call) -> dict[str, Any]:
    """Every rule, by prior role."""
    rules: dict[str, list[str]] = {}
    for rule in tx.all(tables.IMPLICATIONS):
        rules.setdefault(rule.prior_id, []).append(rule.implied_id)
    ids = set(rules) | {role_id for implied_ids in rules.values() for role_id in implied_ids}
    rows = {row.id: row for row in tx.all(tables.BY_IDS, {"ids": sorted(ids)})}
    return {
        "role_inferences": [
            {"prior_role": _view(call, rows[prior]), "implies": [_view(call, rows[other]) for other in others]}
            for prior, others in rules.items()
        ],
        "links": {"self": call.url("/v3/role_inferences"), "previous": None, "next": None},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The roles that one implies directly."""
    prior = the(call, "role")
    ids = [rule.implied_id for rule in tx.all(tables.IMPLICATIONS) if rule.prior_id == prior.id]
    rows = tx.all(tables.BY_IDS, {"ids": ids}) if ids else []
    return {
        "role_inference": {"prior_role": _view(call, prior), "implies": [_view(call, row) for row in rows]},
        "links": {"self": call.url(f"/v3/roles/{prior.id}/implies")},
    }


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One rule."""
    prior, other = the(call, "role"), the(call, "implied role")
    if tx.first(_ONE, {"prior": prior.id, "other": other.id}) is None:
        raise NotFound(f"{prior.id} does not imply {other.id}.")
    return {
        "role_inference": {"prior_role": _view(call, prior), "implies": _view(call, other)},
        "links": {"self": call.url(f"/v3/roles/{prior.id}/implies/{other.id}")},
    }


def check(tx: Transaction, call: Call) -> Reply:
    """Whether there is the rule."""
    show(tx, call)
    return Reply(status=204)


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a rule; again changes nothing."""
    prior, other = the(call, "role"), the(call, "implied role")
    # Whoever may write rules must not make administrators by it.
    prohibited = call.runtime.settings.hierarchy.prohibited_implied_roles.split(",")
    if other.name in {name.strip() for name in prohibited}:
        raise Forbidden(f"{other.id} cannot be an implied roles.")
    if other.domain_id and not prior.domain_id:
        raise Forbidden(f"{other.id} cannot be an implied roles: a global role cannot imply one of a domain.")
    if tx.first(_ONE, {"prior": prior.id, "other": other.id}) is None:
        tx.execute(tables.IMPLY, {"prior_id": prior.id, "implied_id": other.id})
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """Delete a rule."""
    show(tx, call)
    tx.execute(_DELETE, {"prior": call.path["role_id"], "other": call.path["implied_role_id"]})


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": {"self": call.url(f"/v3/roles/{row.id}")}}
