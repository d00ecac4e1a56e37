"""Every route of every service refuses strangers, and public ones are few and known."""

from __future__ import annotations

import re

from tests.cloud import TestCloud

from stackyard.app import SERVICES
from stackyard.core.routes import PUBLIC, Route, Service

PUBLIC_ROUTES = {
    "identity": {
        "GET /",
        "GET /v3",
        "GET /v3/OS-SIMPLE-CERT/ca",
        "GET /v3/OS-SIMPLE-CERT/certificates",
        "POST /v3/auth/tokens",
        "POST /v3/OS-OAUTH1/request_token",
        "POST /v3/OS-OAUTH1/access_token",
        "POST /v3/OS-OAUTH2/token",
        "GET /v3/auth/tokens/OS-PKI/revoked",
        "POST /v3/users/{user_id}/password",
        *(
            f"{method} /v3/{path}"
            for method in ("GET", "POST")
            for path in (
                "OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
                "auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso",
                "auth/OS-FEDERATION/websso/{protocol_id}",
            )
        ),
        "GET /v3/OS-FEDERATION/saml2/metadata",
        "POST /v3/auth/OS-FEDERATION/saml2",
        "POST /v3/auth/OS-FEDERATION/saml2/ecp",
    },
    "image": {"GET /", "GET /versions"},
    "network": {"GET /", "GET /v2.0"},
    "container": {"GET /", "GET /v1"},
    "block-storage": {"GET /", "GET /v3"},
    "placement": {"GET /"},
    "compute": {"GET /", "GET /v2", "GET /v2.1", "GET /choices", "GET /console/{file*}"},
}
"""Version documents, signing in, what is refused to everybody, and the change of a password by whoever knows it."""

ROUTES = [(service, route) for service in SERVICES for route in service.routes]


def call(cloud: TestCloud, service: Service, route: Route, token: str | None) -> int:
    """The status that one route answers to a caller with (or without) a token."""
    path = service.mount + re.sub(r"\{[^}]*\}", "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11", route.path)
    headers = {"X-Auth-Token": token} if token else {}
    if service.microversions is not None:
        version = route.options.since or route.options.until or service.microversions.maximum
        headers["OpenStack-API-Version"] = f"{service.microversions.service_type} {version}"
    return cloud.http.request(route.method, path, headers=headers, content=b"{}").status_code


def test_public_routes_are_few_and_known() -> None:
    found = {service.type: {route.label for route in service.routes if route.rule == PUBLIC} for service in SERVICES}
    assert found == {service.type: PUBLIC_ROUTES[service.type] for service in SERVICES}


def test_no_token_no_answer(still_cloud: TestCloud) -> None:
    answers = {
        f"{service.type} {route.label}": call(still_cloud, service, route, None)
        for service, route in ROUTES
        if route.rule != PUBLIC
    }
    assert {label: status for label, status in answers.items() if status != 401} == {}
    assert len(answers) > 100


def test_a_forged_token_is_no_token(still_cloud: TestCloud) -> None:
    real = still_cloud.token("admin")
    for token in ("forged", real[:-2], real + "A", "gAAAAA" + "A" * 150, "token with spaces"):
        answers = {
            f"{service.type} {route.label}": call(still_cloud, service, route, token)
            for service, route in ROUTES[::7]
            if route.rule != PUBLIC
        }
        assert {label: status for label, status in answers.items() if status != 401} == {}, token
