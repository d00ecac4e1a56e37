"""All of OS-FEDERATION."""

from __future__ import annotations

from stackyard.core.routes import Route
from stackyard.services.identity.federation import (
    identity_providers,
    mappings,
    protocols,
    saml,
    service_providers,
    sign_in,
)
from stackyard.services.identity.tokens import operations as tokens

ROUTES = (
    *identity_providers.ROUTES,
    *protocols.ROUTES,
    *mappings.ROUTES,
    *service_providers.ROUTES,
    *sign_in.ROUTES,
    *saml.ROUTES,
    # Former addresses of what /v3/auth says.
    Route("GET", "/v3/OS-FEDERATION/projects", tokens.list_projects, "identity:get_auth_projects"),
    Route("GET", "/v3/OS-FEDERATION/domains", tokens.list_domains, "identity:get_auth_domains"),
)
