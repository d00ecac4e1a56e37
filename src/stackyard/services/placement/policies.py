"""Who may ask what of Placement: its rules with its defaults; administrators and services, for nearly everything."""

from __future__ import annotations

from stackyard.core.policy import ANY_SCOPE, Rule

_BASE = (
    Rule("admin_api", "role:admin", "Most of Placement, for administrators."),
    Rule("service_api", "role:service", "Most of Placement, for services."),
    Rule("admin_or_service_api", "role:admin or role:service", "Most of Placement."),
    Rule("project_reader_api", "role:reader and project_id:%(project_id)s", "What concerns one project.", ANY_SCOPE),
    Rule(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        "What concerns one project, for those who may read in it.",
    ),
)

_RULES = {
    "allocation_candidates:list": "List combinations of providers that a request could be allocated from.",
    "allocations:delete": "Delete a consumer's allocations.",
    "allocations:list": "List a consumer's allocations.",
    "allocations:manage": "Set the allocations of several consumers.",
    "allocations:update": "Set a consumer's allocations.",
    "resource_classes:create": "Make a resource class.",
    "resource_classes:delete": "Delete a resource class.",
    "resource_classes:list": "List resource classes.",
    "resource_classes:show": "Show a resource class.",
    "resource_classes:update": "Make or rename a resource class.",
    "resource_providers:aggregates:list": "List a provider's aggregates.",
    "resource_providers:aggregates:update": "Set a provider's aggregates.",
    "resource_providers:allocations:list": "List what is allocated of a provider.",
    "resource_providers:create": "Make a provider.",
    "resource_providers:delete": "Delete a provider.",
    "resource_providers:inventories:create": "Add an inventory to a provider.",
    "resource_providers:inventories:delete": "Delete inventories of a provider.",
    "resource_providers:inventories:list": "List a provider's inventories.",
    "resource_providers:inventories:show": "Show an inventory.",
    "resource_providers:inventories:update": "Set a provider's inventories.",
    "resource_providers:list": "List providers.",
    "resource_providers:show": "Show a provider.",
    "resource_providers:traits:delete": "Take all traits from a provider.",
    "resource_providers:traits:list": "List a provider's traits.",
    "resource_providers:traits:update": "Set a provider's traits.",
    "resource_providers:update": "Rename or move a provider.",
    "resource_providers:usages": "Show how much of a provider is used.",
    "traits:delete": "Delete a trait.",
    "traits:list": "List traits.",
    "traits:show": "Show a trait.",
    "traits:update": "Make a trait.",
}

POLICIES: tuple[Rule, ...] = (
    *_BASE,
    *(Rule(f"placement:{name}", "rule:admin_or_service_api", text) for name, text in _RULES.items()),
    Rule("placement:reshaper:reshape", "rule:service_api", "Change inventories and allocations together."),
    Rule("placement:usages", "rule:admin_or_project_reader_or_service_api", "Show what a project uses."),
)
