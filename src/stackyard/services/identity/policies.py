"""Who may do what in Keystone, by its own defaults.

`admin` anywhere is the cloud's administrator; a reader on the system sees everything; a manager with a domain-scoped
token looks after the users, groups, projects and their roles of that domain; users look after what is their own.
"""

from __future__ import annotations

from stackyard.core.policy import ANY_SCOPE, Rule

CLOUD = ("system", "project")
EVERY = ANY_SCOPE

ADMIN = "role:admin"
SYSTEM_READER = "(role:reader and system_scope:all)"
ADMIN_OR_READER = f"{ADMIN} or {SYSTEM_READER}"
OWNER = "user_id:%(target.user.id)s"
DOMAIN_OF = "domain_id:%(target.{0}.domain_id)s"
MANAGED_ROLE = (
    "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
    " and None:%(target.role.domain_id)s"
)


def _of_domain(role: str, *targets: str) -> str:
    return f"(role:{role} and {' and '.join(DOMAIN_OF.format(target) for target in targets)})"


def _grants(role: str) -> str:
    """A role of a domain's, on pairs of actor and target that both are of that domain."""
    pairs = [
        f"(role:{role} and {DOMAIN_OF.format(actor)} and {target})"
        for actor in ("user", "group")
        for target in (DOMAIN_OF.format("project"), "domain_id:%(target.domain.id)s")
    ]
    return f"({' or '.join(pairs)})"


_ROLE_OF_DOMAIN = f"({DOMAIN_OF.format('role')} or None:%(target.role.domain_id)s)"
_CHANGE_GRANT = f"{ADMIN} or ({_grants('manager')} and {MANAGED_ROLE})"


def _rules(names: str, check: str, scopes: tuple[str, ...], description: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"identity:{name}", check, description, scopes) for name in names.split())


def _crud(singular: str, plural: str, read: str, write: str, scopes: tuple[str, ...]) -> tuple[Rule, ...]:
    return (
        *_rules(f"get_{singular} list_{plural}", read, scopes, f"See {plural}."),
        *_rules(f"create_{singular} update_{singular} delete_{singular}", write, scopes, f"Change {plural}."),
    )


_SEE_PROJECT = (
    f"{ADMIN_OR_READER} or (role:reader and {DOMAIN_OF.format('project')} and not None:%(target.project.domain_id)s)"
    " or project_id:%(target.project.id)s"
)
_CHANGE_PROJECT = (
    f"{ADMIN} or (role:manager and {DOMAIN_OF.format('project')} and not None:%(target.project.domain_id)s)"
)
_IN_LISTED_DOMAIN = f"{ADMIN_OR_READER} or (role:reader and domain_id:%(target.domain_id)s)"
_SEE_USER = f"{ADMIN_OR_READER} or {_of_domain('reader', 'user')}"
_SEE_GROUP = f"{ADMIN_OR_READER} or {_of_domain('reader', 'group')}"
_MANAGE_GROUP = f"{ADMIN} or {_of_domain('manager', 'group')}"
_MANAGE_MEMBERS = f"{ADMIN} or {_of_domain('manager', 'group', 'user')}"
# Who may set a user's password, or put users into a group, gets at the roles of that user or group.
_MANAGE_USER = f"{ADMIN} or (role:manager and {DOMAIN_OF.format('user')} and True:%(target.user.lesser)s)"
_ADD_MEMBER = (
    f"{ADMIN} or (role:manager and {DOMAIN_OF.format('group')} and {DOMAIN_OF.format('user')} "
    "and True:%(target.group.lesser)s)"
)

POLICIES: tuple[Rule, ...] = (
    *_rules("check_token", f"{ADMIN_OR_READER} or user_id:%(target.token.user_id)s", EVERY, "Check a token."),
    *_rules(
        "validate_token",
        f"{ADMIN_OR_READER} or role:service or user_id:%(target.token.user_id)s",
        EVERY,
        "See what a token stands for.",
    ),
    *_rules("revoke_token", f"{ADMIN} or user_id:%(target.token.user_id)s", EVERY, "Revoke a token."),
    *_rules(
        "get_auth_catalog get_auth_projects get_auth_domains get_auth_system", "", EVERY, "See where one could go."
    ),
    *_rules(
        "get_domain",
        f"{ADMIN_OR_READER} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s",
        EVERY,
        "See a domain.",
    ),
    *_rules(
        "list_domains", f"{ADMIN_OR_READER} or (role:reader and domain_id:%(target.domain.id)s)", EVERY, "List domains."
    ),
    *_rules("create_domain update_domain delete_domain", ADMIN, CLOUD, "Change domains."),
    *_rules("get_project list_project_tags get_project_tag", _SEE_PROJECT, EVERY, "See a project and its tags."),
    *_rules("list_projects", _IN_LISTED_DOMAIN, EVERY, "List projects."),
    *_rules("list_user_projects", f"{_SEE_USER} or {OWNER}", EVERY, "List the projects of a user."),
    *_rules(
        "create_project update_project delete_project update_project_tags create_project_tag delete_project_tags "
        "delete_project_tag",
        _CHANGE_PROJECT,
        EVERY,
        "Change projects and their tags.",
    ),
    *_rules("revoke_tokens_for_user", f"{ADMIN} or {OWNER}", EVERY, "End every token of a user."),
    *_rules("get_user", f"{_SEE_USER} or {OWNER}", EVERY, "See a user."),
    *_rules("list_users", _IN_LISTED_DOMAIN, EVERY, "List users."),
    *_rules("create_user", f"{ADMIN} or {_of_domain('manager', 'user')}", EVERY, "Make users."),
    *_rules("update_user delete_user", _MANAGE_USER, EVERY, "Change users."),
    *_rules("get_group list_groups list_users_in_group", _SEE_GROUP, EVERY, "See groups and their members."),
    *_rules("list_groups_for_user", f"{_SEE_USER} or {OWNER}", EVERY, "List the groups of a user."),
    *_rules("create_group update_group delete_group", _MANAGE_GROUP, EVERY, "Change groups."),
    *_rules(
        "check_user_in_group",
        f"{ADMIN_OR_READER} or {_of_domain('reader', 'group', 'user')}",
        EVERY,
        "See whether a user is in a group.",
    ),
    *_rules("add_user_to_group", _ADD_MEMBER, EVERY, "Put users into groups."),
    *_rules("remove_user_from_group", _MANAGE_MEMBERS, EVERY, "Take users out of groups."),
    *_rules(
        "get_role", f"{ADMIN_OR_READER} or (role:manager and {MANAGED_ROLE})", EVERY, "See a role of the whole cloud."
    ),
    *_rules(
        "list_roles", f"{ADMIN_OR_READER} or (role:manager and not domain_id:None)", EVERY, "List the cloud's roles."
    ),
    *_rules("create_role update_role delete_role", ADMIN, CLOUD, "Change roles."),
    *_crud("domain_role", "domain_roles", ADMIN_OR_READER, ADMIN, CLOUD),
    *_rules(
        "get_implied_role list_implied_roles list_role_inference_rules check_implied_role",
        ADMIN_OR_READER,
        CLOUD,
        "See which role implies which.",
    ),
    *_rules("create_implied_role delete_implied_role", ADMIN, CLOUD, "Change which role implies which."),
    *_rules(
        "check_grant", f"{ADMIN_OR_READER} or ({_grants('reader')} and {_ROLE_OF_DOMAIN})", EVERY, "See one assignment."
    ),
    *_rules("list_grants", f"{ADMIN_OR_READER} or {_grants('reader')}", EVERY, "List roles of an actor somewhere."),
    *_rules("create_grant revoke_grant", _CHANGE_GRANT, EVERY, "Give and take roles."),
    *_rules(
        "list_system_grants_for_user check_system_grant_for_user list_system_grants_for_group "
        "check_system_grant_for_group",
        ADMIN_OR_READER,
        CLOUD,
        "See roles on the system.",
    ),
    *_rules(
        "create_system_grant_for_user revoke_system_grant_for_user create_system_grant_for_group "
        "revoke_system_grant_for_group",
        ADMIN,
        CLOUD,
        "Give and take roles on the system.",
    ),
    *_rules(
        "list_role_assignments list_role_assignments_for_tree",
        f"{ADMIN_OR_READER} or (role:reader and domain_id:%(target.domain_id)s and not None:%(target.domain_id)s)",
        EVERY,
        "List role assignments.",
    ),
    *_rules("get_region list_regions", "", EVERY, "See regions."),
    *_rules("create_region update_region delete_region", ADMIN, CLOUD, "Change regions."),
    *_crud("service", "services", ADMIN_OR_READER, ADMIN, CLOUD),
    *_crud("endpoint", "endpoints", ADMIN_OR_READER, ADMIN, CLOUD),
    *_rules(
        "get_application_credential list_application_credentials",
        f"{ADMIN_OR_READER} or {OWNER}",
        CLOUD,
        "See application credentials.",
    ),
    *_rules("create_application_credential", OWNER, ("project",), "Make an application credential of one's own."),
    *_rules("delete_application_credential", f"{ADMIN} or {OWNER}", CLOUD, "Delete an application credential."),
    *_rules("get_access_rule list_access_rules", f"{SYSTEM_READER} or {OWNER}", CLOUD, "See access rules."),
    *_rules(
        "delete_access_rule", f"(role:admin and system_scope:all) or {OWNER}", CLOUD, "Delete an unused access rule."
    ),
)
