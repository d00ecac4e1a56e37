"""The routes of RBAC policies, and who may use them."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network.checks import ADMIN, OWN, SEE_OWN, any_of, attributes, rules
from stackyard.services.network.rbac import operations as policies

_POLICY = "/v2.0/rbac-policies/{rbac_policy_id}"

ROUTES = (
    Route("GET", "/v2.0/rbac-policies", policies.list_, "get_network_api"),
    Route("POST", "/v2.0/rbac-policies", policies.create, "create_rbac_policy", body=dict, status=201),
    Route("GET", _POLICY, policies.show, "get_rbac_policy", target=policies.load),
    Route("PUT", _POLICY, policies.update, "update_rbac_policy", target=policies.load, body=policies.PolicyFields,
          envelope="rbac_policy"),
    Route("DELETE", _POLICY, policies.delete, "delete_rbac_policy", target=policies.load, status=204),
)  # fmt: skip

_NOT_WITH_ALL = any_of(ADMIN, "not True:%(wildcard)s")

POLICIES = (
    *rules(
        OWN,
        "create_rbac_policy",
        "update_rbac_policy",
        "delete_rbac_policy",
        about="Share something with another project, and no longer.",
    ),
    Rule("get_rbac_policy", SEE_OWN, "See what the project shares, and with whom."),
    *attributes(_NOT_WITH_ALL, "rbac_policy", "create update", "target_tenant", "target_project"),
)
