"""Identity: Keystone's v3 API. Who there is, what they may do where, and the tokens that prove it.

Everything an answer depends on is in the database and read again when it changes (see generation.py), so a role that
is taken away, a user that is disabled or a token that is revoked has no effect left at the next request anywhere.
"""

from __future__ import annotations

from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.identity import versions
from stackyard.services.identity.faults import fault
from stackyard.services.identity.policies import POLICIES
from stackyard.services.identity.tokens import operations as tokens
from stackyard.services.identity.tokens import sign_in

ROUTES = (
    Route("GET", "/", versions.index, PUBLIC),
    Route("GET", "/v3", versions.show, PUBLIC),
    Route("POST", "/v3/auth/tokens", sign_in.create, PUBLIC, edge=True, status=201),
    Route("GET", "/v3/auth/tokens", tokens.show, "identity:validate_token", target=tokens.load_subject),
    Route("HEAD", "/v3/auth/tokens", tokens.show, "identity:check_token", target=tokens.load_subject),
    Route("DELETE", "/v3/auth/tokens", tokens.delete, "identity:revoke_token", target=tokens.load_subject),
    Route("GET", "/v3/auth/catalog", tokens.show_catalog, "identity:get_auth_catalog"),
    Route("GET", "/v3/auth/projects", tokens.list_projects, "identity:get_auth_projects"),
    Route("GET", "/v3/auth/domains", tokens.list_domains, "identity:get_auth_domains"),
    Route("GET", "/v3/auth/system", tokens.show_system, "identity:get_auth_system"),
)

SERVICE = Service(
    type="identity",
    name="keystone",
    mount="/identity",
    classic_port=5000,
    root_prefixes=("/v3",),
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
)
