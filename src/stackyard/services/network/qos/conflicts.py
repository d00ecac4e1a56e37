"""Which rules cannot stand in one policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stackyard.core.errors import Conflict


def check(policy_id: str, others: Iterable[Mapping[str, Any]], rule: Mapping[str, Any]) -> None:
    """Compare a rule with the others of its policy; raises QoSRulesConflict, QoSRuleParameterConflict.

    A policy has one rule of a type and direction. What it promises lies within what it allows, and a minimum packet
    rate is promised either by direction or as a whole.
    """
    for other in others:
        if other["type"] == rule["type"]:
            _same_type(policy_id, other, rule)
        elif other.get("direction") == rule.get("direction"):
            if rule["type"] == "bandwidth_limit" and other["type"] == "minimum_bandwidth":
                if other["min_kbps"] > rule["max_kbps"]:
                    raise _parameters(policy_id, rule["max_kbps"], other["type"], other["min_kbps"])
            elif (
                rule["type"] == "minimum_bandwidth"
                and other["type"] == "bandwidth_limit"
                and other["max_kbps"] < rule["min_kbps"]
            ):
                raise _parameters(policy_id, rule["min_kbps"], other["type"], other["max_kbps"])


def _same_type(policy_id: str, other: Mapping[str, Any], rule: Mapping[str, Any]) -> None:
    if other.get("direction") == rule.get("direction"):
        raise Conflict(
            f"Rule {rule['type']} conflicts with rule {other['id']} which already exists in QoS Policy {policy_id}.",
            kind="QoSRulesConflict",
        )
    if "any" in (other.get("direction"), rule.get("direction")):
        raise _parameters(policy_id, rule["direction"], other["type"], other["direction"])


def _parameters(policy_id: str, value: object, existing_type: str, existing: object) -> Conflict:
    return Conflict(
        f"Unable to add the rule with value {value} to the policy {policy_id} as the existing rule of type "
        f"{existing_type} has value {existing}.",
        kind="QoSRuleParameterConflict",
    )
