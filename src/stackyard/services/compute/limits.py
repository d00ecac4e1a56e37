"""Limits (limits): what a project may have and what it has, in the names that clients ask for first."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.quotas import limits as quota_limits
from stackyard.services.compute.rules import ADMIN, ANY

_MOST = {
    "ram": ("maxTotalRAMSize",),
    "instances": ("maxTotalInstances",),
    "cores": ("maxTotalCores",),
    "key_pairs": ("maxTotalKeypairs",),
    "floating_ips": ("maxTotalFloatingIps",),
    "metadata_items": ("maxServerMeta", "maxImageMeta"),
    "injected_files": ("maxPersonality",),
    "injected_file_content_bytes": ("maxPersonalitySize",),
    "security_groups": ("maxSecurityGroups",),
    "security_group_rules": ("maxSecurityGroupRules",),
    "server_groups": ("maxServerGroups",),
    "server_group_members": ("maxServerGroupMembers",),
}
_USED = {
    "totalRAMUsed": "ram",
    "totalCoresUsed": "cores",
    "totalInstancesUsed": "instances",
    "totalFloatingIpsUsed": "floating_ips",
    "totalSecurityGroupsUsed": "security_groups",
    "totalServerGroupsUsed": "server_groups",
}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /limits: the caller's project's; an administrator may name another one (`tenant_id`)."""
    query = lists.query_of(call, ("tenant_id",), strict=call.since(2, 75))
    project_id = call.caller.project_id or ""
    other = query.get("tenant_id")
    if other is not None:
        call.require("os_compute_api:limits:other_project")
        if len(other) > 64:
            raise BadRequest("Invalid input for tenant_id: an id has at most 64 characters.")
        project_id = other
    hidden: set[str] = set()
    if call.since(2, 36):
        hidden |= {"floating_ips", "security_groups", "security_group_rules"}
    if call.since(2, 57):
        hidden |= {"injected_files", "injected_file_content_bytes"}
    allowed = quota_limits.in_force(tx, call.runtime, project_id)
    used = quota_limits.in_use(tx, call.runtime, project_id)
    found = {
        name: allowed[resource]
        for resource, names in _MOST.items()
        if resource not in hidden
        for name in names
        if name != "maxImageMeta" or not call.since(2, 39)
    }
    found |= {name: used[resource] for name, resource in _USED.items() if resource not in hidden}
    return {"limits": {"rate": [], "absolute": found}}


ROUTES = (Route("GET", "/v2.1/limits", show, "os_compute_api:limits", query=("tenant_id",)),)

POLICIES = (
    Rule("os_compute_api:limits", ANY, "See the limits of the caller's project."),
    Rule("os_compute_api:limits:other_project", ADMIN, "See the limits of another project."),
)
