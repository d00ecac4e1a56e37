"""Who may do what with trusts, by Keystone's defaults."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD, EVERY

_TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
_SEE = f"{ADMIN_OR_READER} or {_TRUSTOR} or {_TRUSTEE}"

POLICIES = (
    Rule("identity:create_trust", _TRUSTOR, "Lend roles to another user.", ("project",)),
    Rule("identity:ask_for_trusts", "", "Ask for trusts; which, one of the three next rules says.", EVERY),
    Rule("identity:list_trusts", ADMIN_OR_READER, "List all trusts.", CLOUD),
    Rule(
        "identity:list_trusts_for_trustor", f"{ADMIN_OR_READER} or {_TRUSTOR}", "List the trusts of a trustor.", CLOUD
    ),
    Rule(
        "identity:list_trusts_for_trustee", f"{ADMIN_OR_READER} or {_TRUSTEE}", "List the trusts of a trustee.", CLOUD
    ),
    Rule("identity:get_trust", _SEE, "See a trust.", CLOUD),
    Rule("identity:list_roles_for_trust", _SEE, "List the roles that a trust lends.", CLOUD),
    Rule("identity:get_role_for_trust", _SEE, "See a role that a trust lends.", CLOUD),
    Rule("identity:delete_trust", f"{ADMIN} or {_TRUSTOR}", "End a trust.", CLOUD),
)
