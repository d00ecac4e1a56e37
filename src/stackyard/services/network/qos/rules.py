"""Rules of policies: under their policy, and by their own ids alone (the alias calls)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.network import resources, seen
from stackyard.services.network.qos import conflicts, usage
from stackyard.services.network.qos.kinds import KINDS, Kind
from stackyard.services.network.qos.operations import load
from stackyard.services.network.tables import qos_policies, qos_rules

_RULE = sa.select(qos_rules).where(qos_rules.c.id == bindparam("id"), qos_rules.c.type == bindparam("kind"))
_INSERT = sa.insert(qos_rules)
_DELETE = sa.delete(qos_rules).where(qos_rules.c.id == bindparam("id"))
_OF_POLICY = qos_rules.c.qos_policy_id == bindparam("policy")

LISTINGS = {
    kind.type: Listing(
        qos_rules,
        {name: resources.column_filter(qos_rules.c[name]) for name in kind.fields} | {"id": Filter(qos_rules.c.id)},
        sort_keys=kind.fields,
        max_limit=resources.LARGEST_PAGE,
        select=sa.select(qos_rules).where(qos_rules.c.type == kind.type),
    )
    for kind in KINDS
}


class Rules:
    """The calls for rules of one type. `name` and `plural` are what they are called in bodies."""

    def __init__(self, kind: Kind, *, alias: bool = False) -> None:
        self.kind = kind
        self.name, self.plural = (f"alias_{name}" if alias else name for name in kind.names)

    def view(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """A rule as the API shows it by itself."""
        return {"id": rule["id"], **{name: rule[name] for name in self.kind.fields}}

    def target(self, tx: Transaction, call: Call) -> seen.Found:
        """The policy in the path, for rules that look at its owner; raises QosPolicyNotFound."""
        policy = load(tx, call)
        return seen.Found(
            policy, **{"ext_parent:project_id": policy.project_id, "ext_parent:tenant_id": policy.project_id}
        )

    def rule_target(self, tx: Transaction, call: Call) -> seen.Found:
        """The rule in the path, with its policy when that is not in the path; raises QosRuleNotFound."""
        row = tx.first(_RULE, {"id": call.path["qos_rule_id"], "kind": self.kind.type})
        policy_id = call.path.get("qos_policy_id", "")
        if row is None or policy_id not in ("", row.qos_policy_id):
            if policy_id:
                load(tx, call)
            raise NotFound(
                f"QoS rule {call.path['qos_rule_id']} for policy {policy_id} could not be found.",
                kind="QosRuleNotFound",
            )
        call.path["qos_policy_id"] = row.qos_policy_id
        return seen.Found(self.target(tx, call), rule=dict(row._mapping))

    def list_(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """GET .../policies/{qos_policy_id}/..._rules."""
        scope = Scope("policy", _OF_POLICY, {"policy": call.target.id})
        page = resources.page_of(tx, call.query, LISTINGS[self.kind.type], scope)
        return resources.listed(call, self.plural, page, lambda row: self.view(row._mapping))

    def show(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """GET ..._rules/{qos_rule_id}."""
        del tx
        return {self.name: resources.shown(call, self.view(call.target.rule))}

    def create(self, tx: Transaction, call: Call) -> Reply:
        """POST .../policies/{qos_policy_id}/..._rules, one or many."""
        bodies: list[Any]
        bodies, bulk = resources.read_bodies(call, self.kind.body, self.name, self.plural)
        policy = call.target
        stored: list[dict[str, Any]] = list(policy.rules)
        views = []
        for body in bodies:
            rule = {"id": new_uuid(), "qos_policy_id": policy.id, "type": self.kind.type, **self.kind.complete(body)}
            conflicts.check(policy.id, stored, rule)
            tx.execute(_INSERT, rule)
            stored.append(rule)
            views.append(self.view(rule))
        self._changed(tx, policy.id, stored, "rule added")
        return resources.created(call, (self.name, self.plural), views, bulk=bulk)

    def update(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """PUT ..._rules/{qos_rule_id}."""
        policy, changes = call.target, self.kind.given(call.body)
        rule_id = policy.rule["id"]
        (before,) = (rule for rule in policy.rules if rule["id"] == rule_id)
        rule = {**before, **changes}
        others = [item for item in policy.rules if item["id"] != rule_id]
        conflicts.check(policy.id, others, rule)
        if rule != before:
            tx.execute(sa.update(qos_rules).where(qos_rules.c.id == bindparam("key")).values(changes), {"key": rule_id})
            stored = [rule if item["id"] == rule_id else item for item in policy.rules]
            self._changed(tx, policy.id, stored, "rule changed")
        return {self.name: self.view(rule)}

    def delete(self, tx: Transaction, call: Call) -> None:
        """DELETE ..._rules/{qos_rule_id}."""
        policy = call.target
        rule_id = policy.rule["id"]
        tx.execute(_DELETE, {"id": rule_id})
        self._changed(tx, policy.id, [rule for rule in policy.rules if rule["id"] != rule_id], "rule removed")

    def _changed(self, tx: Transaction, policy_id: str, stored: list[dict[str, Any]], what: str) -> None:
        resources.touch(tx, qos_policies, policy_id, rules=stored)
        timeline.record(tx, "qos_policy", policy_id, what, self.kind.type)
        usage.mark(tx, policy_id)
