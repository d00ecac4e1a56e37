"""A user's multi-factor rules: which methods together are enough to sign in, as Keystone reads them.

A rule is a list of methods. What no rule may do is lock everybody out: methods that this cloud does not know are left
out of a rule, and when that leaves nothing of any rule there are no rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def rules_of(options: Mapping[str, Any], known: Collection[str]) -> list[list[str]]:
    """What is left of a user's rules, each without repetitions; none when they are switched off."""
    rules = options.get("multi_factor_auth_rules")
    if not isinstance(rules, list) or options.get("multi_factor_auth_enabled") is False:
        return []
    usable = [rule for rule in rules if isinstance(rule, list) and all(isinstance(method, str) for method in rule)]
    kept = [[method for method in dict.fromkeys(rule) if method in known] for rule in usable]
    return [rule for rule in kept if rule]


def is_enough(rules: list[list[str]], methods: Collection[str]) -> bool:
    """Whether the methods meet one of the rules, or there are none."""
    return not rules or any(set(rule) <= set(methods) for rule in rules)


def begun(rules: list[list[str]], methods: Collection[str]) -> list[list[str]]:
    """The rules of which at least one method was used: by one of these a sign-in can be completed."""
    return [rule for rule in rules if set(rule) & set(methods)]
