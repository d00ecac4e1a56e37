"""Identity: Keystone's v3 API. Who there is, what they may do where, and the tokens that prove it.

Everything an answer depends on is in the database and read again when it changes (see generation.py), so a role that
is taken away, a user that is disabled or a token that is revoked has no effect left at the next request anywhere.
"""

from __future__ import annotations

from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.identity import changes, domains, oauth2, targets, versions
from stackyard.services.identity.application_credentials import access_rules
from stackyard.services.identity.application_credentials import operations as application_credentials
from stackyard.services.identity.application_credentials.bodies import NewApplicationCredential
from stackyard.services.identity.assignments import grants
from stackyard.services.identity.assignments import listing as assignments
from stackyard.services.identity.catalog import endpoints, regions, services
from stackyard.services.identity.credentials import operations as credentials
from stackyard.services.identity.domain_config import operations as domain_configuration
from stackyard.services.identity.ec2 import credentials as ec2_credentials
from stackyard.services.identity.ec2 import tokens as ec2_tokens
from stackyard.services.identity.endpoint_filter import associations as endpoint_filter
from stackyard.services.identity.faults import fault
from stackyard.services.identity.federation import policies as federation_policies
from stackyard.services.identity.federation import routes as federation
from stackyard.services.identity.legacy_policies import associations as policy_associations
from stackyard.services.identity.legacy_policies import operations as legacy_policies
from stackyard.services.identity.limits import limits
from stackyard.services.identity.limits import registered as registered_limits
from stackyard.services.identity.oauth1 import routes as oauth1
from stackyard.services.identity.policies import POLICIES
from stackyard.services.identity.projects import operations as projects
from stackyard.services.identity.projects import tags, tree
from stackyard.services.identity.projects.bodies import DomainChange, NewDomain, NewProject, ProjectChange
from stackyard.services.identity.roles import inference
from stackyard.services.identity.roles import operations as roles
from stackyard.services.identity.tokens import operations as tokens
from stackyard.services.identity.tokens import revocation_events, sign_in
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.trusts import operations as trusts
from stackyard.services.identity.trusts import policies as trust_policies
from stackyard.services.identity.users import groups, own_password
from stackyard.services.identity.users import operations as users
from stackyard.services.identity.users import tokens as user_tokens
from stackyard.services.identity.users.bodies import GroupChange, NewGroup, NewUser, PasswordChange, UserChange

# Rules look at what the path names, at the caller's domain for a list, at the body for a new thing.
BY_PATH = {"target": targets.load}
IN_DOMAIN = {"target": targets.own_domain}
CREDENTIAL = {"target": application_credentials.load}


def _new(kind: str, schema: type) -> dict[str, object]:
    return {"body": dict, "schema": schema, "envelope": kind, "target": targets.to_create, "status": 201}


def _change(kind: str, schema: type) -> dict[str, object]:
    return {"body": dict, "schema": schema, "envelope": kind, "target": targets.load}


_CREDENTIALS = "/v3/users/{user_id}/application_credentials"

_TABLE = (
    *versions.ROUTES,
    # Tokens
    Route("POST", "/v3/auth/tokens", sign_in.create, PUBLIC, edge=True, body=Auth, envelope="auth", status=201),
    Route("GET", "/v3/auth/tokens", tokens.show, "identity:validate_token", target=tokens.load_subject),
    Route("HEAD", "/v3/auth/tokens", tokens.show, "identity:check_token", target=tokens.load_subject),
    Route("DELETE", "/v3/auth/tokens", tokens.delete, "identity:revoke_token", target=tokens.load_subject),
    *revocation_events.ROUTES,
    Route("GET", "/v3/auth/catalog", tokens.show_catalog, "identity:get_auth_catalog"),
    Route("GET", "/v3/auth/projects", tokens.list_projects, "identity:get_auth_projects"),
    Route("GET", "/v3/auth/domains", tokens.list_domains, "identity:get_auth_domains"),
    Route("GET", "/v3/auth/system", tokens.show_system, "identity:get_auth_system"),
    # Domains
    Route("GET", "/v3/domains", domains.list_, "identity:list_domains", query=domains.LISTING.parameters, **IN_DOMAIN),
    Route("POST", "/v3/domains", domains.create, "identity:create_domain", **_new("domain", NewDomain)),
    Route("GET", "/v3/domains/{domain_id}", domains.show, "identity:get_domain", **BY_PATH),
    Route(
        "PATCH", "/v3/domains/{domain_id}", domains.update, "identity:update_domain", **_change("domain", DomainChange)
    ),
    Route("DELETE", "/v3/domains/{domain_id}", domains.delete, "identity:delete_domain", **BY_PATH),
    *domain_configuration.ROUTES,
    # Projects
    Route(
        "GET", "/v3/projects", projects.list_, "identity:list_projects", query=projects.LISTING.parameters, **IN_DOMAIN
    ),
    Route("POST", "/v3/projects", projects.create, "identity:create_project", **_new("project", NewProject)),
    Route("GET", "/v3/projects/{project_id}", projects.show, "identity:get_project", query=tree.PARAMETERS, **BY_PATH),
    Route(
        "PATCH",
        "/v3/projects/{project_id}",
        projects.update,
        "identity:update_project",
        **_change("project", ProjectChange),
    ),
    Route("DELETE", "/v3/projects/{project_id}", projects.delete, "identity:delete_project", **BY_PATH),
    Route("GET", "/v3/projects/{project_id}/tags", tags.list_, "identity:list_project_tags", **BY_PATH),
    Route(
        "PUT",
        "/v3/projects/{project_id}/tags",
        tags.replace_all,
        "identity:update_project_tags",
        body=tags.TagList,
        **BY_PATH,
    ),
    Route("DELETE", "/v3/projects/{project_id}/tags", tags.delete_all, "identity:delete_project_tags", **BY_PATH),
    Route("GET", "/v3/projects/{project_id}/tags/{tag}", tags.check, "identity:get_project_tag", **BY_PATH),
    Route("PUT", "/v3/projects/{project_id}/tags/{tag}", tags.add, "identity:create_project_tag", **BY_PATH),
    Route("DELETE", "/v3/projects/{project_id}/tags/{tag}", tags.delete, "identity:delete_project_tag", **BY_PATH),
    # Users
    Route("GET", "/v3/users", users.list_, "identity:list_users", query=users.LISTING.parameters, **IN_DOMAIN),
    Route("POST", "/v3/users", users.create, "identity:create_user", edge=True, **_new("user", NewUser)),
    Route("GET", "/v3/users/{user_id}", users.show, "identity:get_user", **BY_PATH),
    Route(
        "PATCH", "/v3/users/{user_id}", users.update, "identity:update_user", edge=True, **_change("user", UserChange)
    ),
    Route("DELETE", "/v3/users/{user_id}", users.delete, "identity:delete_user", **BY_PATH),
    Route(
        "POST",
        "/v3/users/{user_id}/password",
        own_password.change,
        PUBLIC,
        edge=True,
        body=dict,
        schema=PasswordChange,
        envelope="user",
        status=204,
    ),
    Route("GET", "/v3/users/{user_id}/projects", users.list_projects, "identity:list_user_projects", **BY_PATH),
    Route("GET", "/v3/users/{user_id}/groups", groups.list_of_user, "identity:list_groups_for_user", **BY_PATH),
    Route("DELETE", "/v3/users/{user_id}/tokens", user_tokens.revoke_all, "identity:revoke_tokens_for_user", **BY_PATH),
    # Groups
    Route("GET", "/v3/groups", groups.list_, "identity:list_groups", query=groups.LISTING.parameters, **IN_DOMAIN),
    Route("POST", "/v3/groups", groups.create, "identity:create_group", **_new("group", NewGroup)),
    Route("GET", "/v3/groups/{group_id}", groups.show, "identity:get_group", **BY_PATH),
    Route("PATCH", "/v3/groups/{group_id}", groups.update, "identity:update_group", **_change("group", GroupChange)),
    Route("DELETE", "/v3/groups/{group_id}", groups.delete, "identity:delete_group", **BY_PATH),
    Route("GET", "/v3/groups/{group_id}/users", groups.list_users, "identity:list_users_in_group", **BY_PATH),
    Route("GET", "/v3/groups/{group_id}/users/{user_id}", groups.check_user, "identity:check_user_in_group", **BY_PATH),
    Route("PUT", "/v3/groups/{group_id}/users/{user_id}", groups.add_user, "identity:add_user_to_group", **BY_PATH),
    Route(
        "DELETE",
        "/v3/groups/{group_id}/users/{user_id}",
        groups.remove_user,
        "identity:remove_user_from_group",
        **BY_PATH,
    ),
    # Roles
    *roles.ROUTES,
    Route("GET", "/v3/roles/{role_id}/implies", inference.list_, "identity:list_implied_roles", **BY_PATH),
    Route(
        "GET",
        "/v3/roles/{role_id}/implies/{implied_role_id}",
        inference.show,
        "identity:get_implied_role",
        **BY_PATH,
    ),
    Route(
        "HEAD",
        "/v3/roles/{role_id}/implies/{implied_role_id}",
        inference.check,
        "identity:check_implied_role",
        **BY_PATH,
    ),
    Route(
        "PUT",
        "/v3/roles/{role_id}/implies/{implied_role_id}",
        inference.create,
        "identity:create_implied_role",
        status=201,
        **BY_PATH,
    ),
    Route(
        "DELETE",
        "/v3/roles/{role_id}/implies/{implied_role_id}",
        inference.delete,
        "identity:delete_implied_role",
        **BY_PATH,
    ),
    Route("GET", "/v3/role_inferences", inference.list_all, "identity:list_role_inference_rules"),
    # Role assignments
    Route(
        "GET",
        "/v3/role_assignments",
        assignments.list_,
        "identity:list_role_assignments",
        query=assignments.PARAMETERS,
        target=assignments.load_target,
    ),
    *grants.ROUTES,
    # Catalogue
    *regions.ROUTES,
    *services.ROUTES,
    *endpoints.ROUTES,
    *endpoint_filter.ROUTES,
    *legacy_policies.ROUTES,
    *policy_associations.ROUTES,
    # Unified limits
    *registered_limits.ROUTES,
    *limits.ROUTES,
    # Credentials of other kinds
    *credentials.ROUTES,
    *federation.ROUTES,
    *ec2_credentials.ROUTES,
    *ec2_tokens.ROUTES,
    # Trusts
    *trusts.ROUTES,
    # OAuth 1.0a
    *oauth1.ROUTES,
    *oauth2.ROUTES,
    # Application credentials
    Route("GET", _CREDENTIALS, application_credentials.list_, "identity:list_application_credentials", **BY_PATH),
    Route(
        "POST",
        _CREDENTIALS,
        application_credentials.create,
        "identity:create_application_credential",
        edge=True,
        status=201,
        **_change("application_credential", NewApplicationCredential),
    ),
    Route(
        "GET",
        f"{_CREDENTIALS}/{{credential_id}}",
        application_credentials.show,
        "identity:get_application_credential",
        **CREDENTIAL,
    ),
    Route(
        "DELETE",
        f"{_CREDENTIALS}/{{credential_id}}",
        application_credentials.delete,
        "identity:delete_application_credential",
        **CREDENTIAL,
    ),
    Route("GET", "/v3/users/{user_id}/access_rules", access_rules.list_, "identity:list_access_rules", **BY_PATH),
    Route(
        "GET", "/v3/users/{user_id}/access_rules/{rule_id}", access_rules.show, "identity:get_access_rule", **BY_PATH
    ),
    Route(
        "DELETE",
        "/v3/users/{user_id}/access_rules/{rule_id}",
        access_rules.delete,
        "identity:delete_access_rule",
        **BY_PATH,
    ),
)

ROUTES = tuple(changes.noting(route) for route in _TABLE)

SERVICE = Service(
    type="identity",
    name="keystone",
    mount="/identity",
    classic_port=5000,
    root_prefixes=("/v3",),
    routes=ROUTES,
    policies=(
        *POLICIES,
        *revocation_events.POLICIES,
        *domain_configuration.POLICIES,
        *endpoint_filter.POLICIES,
        *legacy_policies.POLICIES,
        *policy_associations.POLICIES,
        *registered_limits.POLICIES,
        *limits.POLICIES,
        *federation_policies.POLICIES,
        *credentials.POLICIES,
        *ec2_credentials.POLICIES,
        *ec2_tokens.POLICIES,
        *trust_policies.POLICIES,
        *oauth1.POLICIES,
    ),
    fault=fault,
)
