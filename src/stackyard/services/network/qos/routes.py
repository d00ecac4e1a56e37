"""The calls for policies, rules and rule types, and who may make them."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network.checks import ADMIN, MANAGER, READER, SHARED, any_of, attributes, rules
from stackyard.services.network.qos import operations, rule_types
from stackyard.services.network.qos.kinds import KINDS, Kind
from stackyard.services.network.qos.rules import Rules

_POLICY = "/v2.0/qos/policies/{qos_policy_id}"
_PARENT_MANAGER = "(role:manager and project_id:%(ext_parent:project_id)s)"
_PARENT_READER = "(role:reader and project_id:%(ext_parent:project_id)s)"


def _rule_routes(kind: Kind) -> tuple[Route, ...]:
    calls = Rules(kind)
    several = f"{_POLICY}/{calls.plural}"
    one = f"{several}/{{qos_rule_id}}"
    rule = f"policy_{calls.name}"
    return (
        Route("GET", several, calls.list_, f"get_{rule}", target=calls.target),
        Route("POST", several, calls.create, f"create_{rule}", target=calls.target, body=dict, status=201),
        Route("GET", one, calls.show, f"get_{rule}", target=calls.rule_target),
        Route("PUT", one, calls.update, f"update_{rule}", target=calls.rule_target, body=kind.body,
              envelope=calls.name),
        Route("DELETE", one, calls.delete, f"delete_{rule}", target=calls.rule_target, status=204),
    )  # fmt: skip


def _alias_routes(kind: Kind) -> tuple[Route, ...]:
    """The calls that name a rule without its policy; clients write the collection with dashes or underscores."""
    calls = Rules(kind, alias=True)
    rule = calls.name
    found: list[Route] = []
    for collection in (calls.plural, calls.plural.replace("_", "-")):
        one = f"/v2.0/qos/{collection}/{{qos_rule_id}}"
        found += [
            Route("GET", one, calls.show, f"get_{rule}", target=calls.rule_target),
            Route("PUT", one, calls.update, f"update_{rule}", target=calls.rule_target, body=kind.body, envelope=rule),
            Route("DELETE", one, calls.delete, f"delete_{rule}", target=calls.rule_target, status=204),
        ]
    return tuple(found)


ROUTES = (
    Route("GET", "/v2.0/qos/policies", operations.list_, "get_network_api"),
    Route("POST", "/v2.0/qos/policies", operations.create, "create_policy", body=dict, status=201),
    Route("GET", _POLICY, operations.show, "get_policy", target=operations.load),
    Route("PUT", _POLICY, operations.update, "update_policy", target=operations.load, body=operations.PolicyFields,
          envelope="policy"),
    Route("DELETE", _POLICY, operations.delete, "delete_policy", target=operations.load, status=204),
    Route("GET", "/v2.0/qos/rule-types", rule_types.list_, "get_rule_type"),
    Route("GET", "/v2.0/qos/rule-types/{rule_type}", rule_types.show, "get_rule_type"),
    *(route for kind in KINDS for route in _rule_routes(kind)),
    *(route for kind in KINDS if kind.alias for route in _alias_routes(kind)),
)  # fmt: skip


def _rule_policies(noun: str) -> tuple[Rule, ...]:
    manage = any_of(ADMIN, _PARENT_MANAGER)
    return (
        Rule(f"get_{noun}", any_of(ADMIN, _PARENT_READER), "See a rule of a QoS policy."),
        *rules(manage, f"update_{noun}", f"delete_{noun}", about="Change and delete a rule of a QoS policy."),
    )


_MANAGED = any_of(ADMIN, MANAGER)
_SEEN = any_of(ADMIN, READER, SHARED)

POLICIES = (
    *rules(_MANAGED, "create_policy", "update_policy", "delete_policy", about="Make, change and delete a QoS policy."),
    Rule("get_policy", _SEEN, "See a QoS policy."),
    *attributes(_MANAGED, "policy", "create update delete", "tags"),
    *attributes(_SEEN, "policy", "get", "tags"),
    Rule("get_rule_type", "role:reader", "See the types of QoS rules."),
    *(
        Rule(f"create_policy_{kind.type}_rule", any_of(ADMIN, _PARENT_MANAGER), "Make a rule of a QoS policy.")
        for kind in KINDS
    ),
    *(rule for kind in KINDS for rule in _rule_policies(f"policy_{kind.type}_rule")),
    *(rule for kind in KINDS if kind.alias for rule in _rule_policies(f"alias_{kind.type}_rule")),
)
